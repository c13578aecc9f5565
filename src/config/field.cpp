#include "bertcram/config/field.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::config {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

/// A YAML scalar that reads back as the same text: plain where that is safe, otherwise double-quoted.
std::string yaml_text(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+";
  const bool plain = !text.empty() && text.find_first_not_of(kPlain) == std::string::npos && text[0] != '-' &&
                     util::to_lower_ascii(text) != "null";
  if (plain) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    quoted += c == '\n' ? "\\n" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string yaml_list(const std::vector<std::string>& items) {
  std::vector<std::string> quoted;
  std::ranges::transform(items, std::back_inserter(quoted), yaml_text);
  return "[" + util::join(quoted, ", ") + "]";
}

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

/// Whether it is a whole number beyond kMost.
bool is_too_large(const std::string& scalar) {
  const auto number = util::parse_double(scalar);
  return number && *number >= 0x1p63 && !util::parse_int(scalar);  // as a double, the largest is one too large
}

/// How else a count may be written, where the range has room for it.
std::string example_of(const Field& field) {
  constexpr std::array<std::pair<double, const char*>, 2> kExamples = {
      {{2e6, "2000000 or 2M"}, {32e3, "32000 or 32k"}}};
  const bool is_count = std::holds_alternative<int64_t*>(field.value);
  const auto* example = std::ranges::find_if(
      kExamples, [&](const auto& each) { return is_count && (!field.accepts || field.accepts(each.first)); });
  return example == kExamples.end() ? "" : cat(", such as ", example->second);
}

}  // namespace

std::string Field::text() const {
  return std::visit(Overloaded{[&](const int64_t* v) { return zero_is_auto && *v == 0 ? "auto" : std::to_string(*v); },
                               [](const double* v) { return util::format_number(*v); },
                               [](const bool* v) { return std::string(*v ? "true" : "false"); },
                               [](const std::string* v) { return yaml_text(*v); },
                               [](const std::vector<std::string>* v) { return yaml_list(*v); },
                               [](const EnumRef& v) { return v.words.at(v.get()); }},
                    value);
}

std::string Field::kind() const {
  const std::string type = std::visit(
      Overloaded{
          [&](const int64_t*) { return std::string(zero_is_auto ? "auto or a whole number" : "a whole number"); },
          [](const double*) { return std::string("a number"); },
          [](const bool*) { return std::string("true or false"); },
          [&](const std::string*) { return std::string(is_duration ? "a duration" : "text"); },
          [](const std::vector<std::string>*) { return std::string("a list"); },
          [](const EnumRef& v) { return "one of " + util::join(v.words, "|"); }},
      value);
  return range.empty() ? type : type + " " + range;
}

std::optional<std::string> Field::assign(const std::string& scalar) const {
  const auto wrong = [&] { return cat("'", util::excerpt(scalar), "' is not ", kind(), example_of(*this)); };
  const auto numeric = [&](auto* target, auto parsed) -> std::optional<std::string> {
    if (!parsed || (accepts && !accepts(static_cast<double>(*parsed)))) {
      return wrong();
    }
    *target = *parsed;
    return std::nullopt;
  };
  return std::visit(Overloaded{[&](int64_t* target) -> std::optional<std::string> {
                                 if (is_too_large(scalar) && (!accepts || accepts(static_cast<double>(kMost)))) {
                                   return cat("'", util::excerpt(scalar), "' is too large: at most ", kMost);
                                 }
                                 if (zero_is_auto && scalar == "auto") {
                                   *target = 0;
                                   return std::nullopt;
                                 }
                                 return numeric(target, util::parse_count(scalar));
                               },
                               [&](double* target) { return numeric(target, util::parse_double(scalar)); },
                               [&](bool* target) -> std::optional<std::string> {
                                 const auto parsed = util::parse_bool(scalar);
                                 if (!parsed) {
                                   return wrong();
                                 }
                                 *target = *parsed;
                                 return std::nullopt;
                               },
                               [&](std::string* target) -> std::optional<std::string> {
                                 if (is_duration && !scalar.empty() && !util::parse_duration(scalar)) {
                                   return cat("'", util::excerpt(scalar),
                                              "' is not a duration such as 90s, 15m, 100h or 1h30m");
                                 }
                                 if (is_bytes && !scalar.empty() && util::parse_bytes(scalar).value_or(0) <= 0) {
                                   return cat("'", util::excerpt(scalar), "' is not a size such as 8GiB or 500MB");
                                 }
                                 *target = scalar;
                                 return std::nullopt;
                               },
                               [&](std::vector<std::string>*) -> std::optional<std::string> {
                                 std::vector<std::string> items;
                                 for (const std::string_view item : util::split(scalar, ',')) {
                                   items.emplace_back(util::trim(item));
                                 }
                                 return assign_list(scalar.empty() ? std::vector<std::string>{} : std::move(items));
                               },
                               [&](const EnumRef& target) -> std::optional<std::string> {
                                 const auto found = std::ranges::find(target.words, scalar);
                                 if (found == target.words.end()) {
                                   return wrong();
                                 }
                                 target.set(static_cast<size_t>(found - target.words.begin()));
                                 return std::nullopt;
                               }},
                    value);
}

std::optional<std::string> Field::assign_list(std::vector<std::string> items) const {
  if (const auto* target = std::get_if<std::vector<std::string>*>(&value)) {
    **target = std::move(items);
    return std::nullopt;
  }
  return cat("a list is not ", kind());
}

void FieldVisitor::constrain(Field& field, AtLeast c) {
  field.range = cat("of at least ", util::format_plain(c.bound));
  field.accepts = [c](double v) { return v >= c.bound; };
}

void FieldVisitor::constrain(Field& field, Above c) {
  field.range = cat("above ", util::format_plain(c.bound));
  field.accepts = [c](double v) { return v > c.bound; };
}

void FieldVisitor::constrain(Field& field, InRange c) {
  field.range = cat("from ", util::format_plain(c.low), " to ", util::format_plain(c.high));
  field.accepts = [c](double v) { return v >= c.low && v <= c.high; };
}

void FieldVisitor::constrain(Field& field, Duration) { field.is_duration = true; }

void FieldVisitor::constrain(Field& field, Bytes) { field.is_bytes = true; }

void FieldVisitor::constrain(Field& field, ZeroIsAuto) { field.zero_is_auto = true; }

void FieldVisitor::constrain(Field& field, Alternative) { field.is_alternative = true; }

void FieldVisitor::constrain(Field& field, Untracked) { field.is_tracked = false; }

void FieldVisitor::constrain(Field& field, Private) { field.is_private = true; }

}  // namespace bertcram::config
