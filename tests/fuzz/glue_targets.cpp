// Tasks, their tables, and what fine-tuning leaves.

#include <nlohmann/json.hpp>

#include "bertcram/glue/reader.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/glue/unit.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "fuzz/targets.h"
#include "util/test_support.h"

namespace bertcram::test {
namespace {

void read_tsv(const std::string& bytes, const std::filesystem::path& folder) {
  const glue::TaskSpec& task = glue::find_task("stsb");
  write_bytes(folder / "STS-B/train.tsv", bytes);
  glue::read_split(task, *task.train, folder);
}

void read_task_file(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "train.tsv", "class\ttext\na\tx\nb\ty\n");
  write_bytes(folder / "task.yaml", bytes);
  glue::load_task_file(folder / "task.yaml");
}

std::vector<std::string> unit_seeds() {
  const ScratchDirectory folder;
  glue::UnitRecord record;
  record.id = {.task = "rte", .seed = 7};
  record.runtime = "cpu";
  record.dev.push_back({.reported_name = "rte",
                        .examples = 2,
                        .metrics = {{"accuracy", 55.5}},
                        .intervals = {{"accuracy", {50, 60}}},
                        .classes = {{1, 1, 0}, {1, 1, 0}}});
  glue::save_unit(record, folder.path());
  return {util::read_file(folder.path() / glue::kUnitFile)};
}

/// As they are, and with the hash that belongs to them.
void read_unit(const std::string& bytes, const std::filesystem::path& folder) {
  auto document = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (document.is_object()) {
    document.erase("xxh3_128");
    document["xxh3_128"] = util::hash128(util::json_text(document)).hex();
    write_bytes(folder / "sealed" / glue::kUnitFile, util::json_text(document));
    glue::load_unit(folder / "sealed");
  }
  write_bytes(folder / "raw" / glue::kUnitFile, bytes);
  glue::load_unit(folder / "raw");
}

/// A user's task in these bytes.
void read_own_task(const std::string& bytes, const std::filesystem::path& folder, const char* file) {
  write_bytes(folder / file, bytes);
  write_bytes(folder / "own.yaml",
              std::string("name: t\ntrain: ") + file + "\ndev: other\ncolumns: {sentence1: text, label: class}\n");
  const glue::TaskSpec task = glue::load_task_file(folder / "own.yaml");
  glue::read_split(task, *task.train, "");
}

}  // namespace

std::vector<FuzzTarget> glue_targets() {
  return {
      {"tsv",
       [] {
         return std::vector<std::string>{"sentence1\tsentence2\tscore\na\tb\t1.25\nc\td\t5.000\n",
                                         "index\tsentence1\tscore\tsentence2\r\n0\ta\t0\tb\r\n"};
       },
       read_tsv},
      {"task_file",
       [] {
         return std::vector<std::string>{
             "name: t\ntrain: train.tsv\ndev: dev.tsv\ncolumns: {sentence1: text, label: class}\nlabels: [a, b]\n"
             "metric: [f1, accuracy]\n"};
       },
       read_task_file},
      {"csv", [] { return std::vector<std::string>{"id,text,class\r\n1,\"a \"\"b\"\",\nc\",x\r\n2,d,y\n"}; },
       [](const std::string& bytes, const std::filesystem::path& folder) { read_own_task(bytes, folder, "t.csv"); }},
      {"task_jsonl",
       [] {
         return std::vector<std::string>{
             "{\"text\": \"a\", \"class\": true}\n\n{\"class\": 1, \"text\": \"b\\t\", \"idx\": [1]}\n"};
       },
       [](const std::string& bytes, const std::filesystem::path& folder) { read_own_task(bytes, folder, "t.jsonl"); }},
      {"unit", unit_seeds, read_unit}};
}

}  // namespace bertcram::test
