#include "bertcram/config/yaml_document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::config {
namespace {

/// Takes note of where documents begin and lets everything else pass.
class DocumentStarts : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { marks.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  std::vector<YAML::Mark> marks;
};

/// Where the first two documents begin. YAML::LoadAll would not do: of text that begins with a comma yaml-cpp 0.7 makes
/// documents without end, all at the same place.
std::vector<YAML::Mark> first_documents(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  for (int document = 0; document < 2 && parser.HandleNextDocument(starts); ++document) {
  }
  return starts.marks;
}

/// What is often the reason, where the line or the one before is indented with a tab; else empty.
std::string advice_on_tabs(const std::string& text, int line) {
  const auto lines = util::split(text, '\n');
  for (int at = std::max(0, line - 1); at <= line && at < static_cast<int>(lines.size()); ++at) {
    const std::string_view each = lines[static_cast<size_t>(at)];
    if (each.substr(0, each.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
      return "; indent with spaces, not tabs";
    }
  }
  return "";
}

}  // namespace

std::optional<YAML::Node> read_yaml_document(const std::string& text, const std::string& where,
                                             std::vector<std::string>& problems) {
  try {
    const auto marks = first_documents(text);
    if (marks.size() < 2) {
      return marks.empty() ? std::nullopt : std::optional(YAML::Load(text));
    }
    const bool is_stuck = marks[0].pos == marks[1].pos;
    problems.push_back(cat(where, ":", marks[1].line + 1,
                           is_stuck ? ": not valid YAML" : ": a second document (after ---), expected one"));
  } catch (const YAML::Exception& error) {
    problems.push_back(
        cat(where, ":", error.mark.line + 1, ": not valid YAML: ", error.msg, advice_on_tabs(text, error.mark.line)));
  }
  return std::nullopt;
}

}  // namespace bertcram::config
