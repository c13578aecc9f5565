#include "fuzz/targets.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bertcram/checkpoint/safetensors.h"
#include "bertcram/checkpoint/sentence_modules.h"
#include "bertcram/checkpoint/weights.h"
#include "bertcram/config/pretrain_config.h"
#include "bertcram/config/resolve.h"
#include "bertcram/config/source_config.h"
#include "bertcram/data/document_reader.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/data/packed_files.h"
#include "bertcram/glue/reader.h"
#include "bertcram/glue/task_file.h"
#include "bertcram/glue/unit.h"
#include "bertcram/model/hub_config.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/text/sentencepiece_trainer.h"
#include "bertcram/util/file.h"
#include "bertcram/util/hash.h"
#include "bertcram/util/json.h"
#include "data/packing_support.h"
#include "text/spm_test_support.h"

namespace bertcram::test {
namespace {

constexpr std::string_view kText = "Hello, [MASK] w\u00f6rld! \u6f22\u5b57 a\u0301 \u2581ab 12 \xFF\xE2\x82 end";

/// Everything that a tokenizer does with text.
void use(const text::Tokenizer& tokenizer) {
  for (const auto special : {text::SpecialInText::kRecognise, text::SpecialInText::kPlainText}) {
    std::vector<int32_t> ids;
    tokenizer.encode(kText, ids, {.special_in_text = special});
    tokenizer.decode(ids);
  }
  tokenizer.fingerprint();
}

std::vector<std::string> shard_seeds() {
  const ScratchDirectory folder;
  std::vector<std::string> seeds;
  for (const int64_t bytes_per_id : {2, 4}) {
    data::ShardWriter writer(folder / "s.bin", {.seq_len = 8, .bytes_per_id = bytes_per_id, .tokenizer_hash = 7});
    for (int32_t row = 0; row < 3; ++row) {
      writer.add_row(std::array{row, 1, 2, 3, 4, 5, 6, 7});
    }
    writer.commit();
    seeds.push_back(read_bytes(folder / "s.bin"));
  }
  return seeds;
}

void read_shard(const std::filesystem::path& file) {
  const data::ShardReader reader(file);
  std::vector<int32_t> ids(static_cast<size_t>(reader.shape().seq_len));
  for (int64_t row = 0; row < std::min<int64_t>(reader.rows(), 100); ++row) {
    reader.read_row(row, ids);
  }
  reader.verify(util::StopFlag());
}

/// With the hashes that the header holds of itself made right: otherwise hardly any byte could be changed unnoticed.
std::string with_right_header_hash(std::string bytes) {
  constexpr size_t kHashedBytes = 56;
  if (bytes.size() >= kHashedBytes + sizeof(uint64_t)) {
    const uint64_t hash = util::hash64(std::string_view(bytes).substr(0, kHashedBytes));
    std::memcpy(bytes.data() + kHashedBytes, &hash, sizeof(hash));
  }
  return bytes;
}

/// A packed folder in `folder`. @return its configuration
void pack_small(const std::filesystem::path& folder) {
  write_bytes(folder / "text.txt", joined(random_documents(1, 20)));
  config::PackConfig config;
  config.input = {(folder / "text.txt").string()};
  config.output = (folder / "packed").string();
  config.seq_len = 16;
  config.valid_frac = 0.2;
  pack(config);
}

std::vector<std::string> manifest_seeds() {
  const ScratchDirectory folder;
  pack_small(folder.path());
  return {read_bytes(folder / "packed/manifest.json")};
}

void read_manifest(const std::string& bytes, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "packed")) {
    pack_small(folder);
  }
  write_bytes(folder / "packed" / data::kManifestFile, bytes);
  const auto manifest = data::read_packed_manifest(folder / "packed");
  for (const auto& shards : {manifest.train_shards, manifest.valid_shards}) {
    const data::RowStore rows(folder / "packed", shards, manifest);
    std::vector<int32_t> ids(static_cast<size_t>(rows.seq_len()));
    if (rows.rows() > 0) {
      rows.read_row(0, ids);
    }
  }
  data::read_token_counts(folder / "packed", manifest);
}

std::vector<std::string> saved_tokenizers(const char* file) {
  const ScratchDirectory folder;
  tiny_tokenizer().save(folder / "wordpiece");
  text::SpmModel spm = text::small_spm();
  text::make_subword_tokenizer(text::spm_bytes(spm), "unigram.model")->save(folder / "unigram");
  spm.type = text::SpmModelType::kBpe;
  text::make_subword_tokenizer(text::spm_bytes(spm), "bpe.model")->save(folder / "bpe");
  return {read_bytes(folder / "wordpiece" / file), read_bytes(folder / "unigram" / file),
          read_bytes(folder / "bpe" / file)};
}

void read_tokenizer_json(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "tokenizer.json", bytes);
  const auto tokenizer = text::load_tokenizer(folder / "tokenizer.json", std::nullopt);
  use(*tokenizer);
}

void read_tokenizer_config(const std::string& bytes, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "saved")) {
    tiny_tokenizer().save(folder / "saved");
  }
  write_bytes(folder / "saved/tokenizer_config.json", bytes);
  use(*text::load_tokenizer(folder / "saved", std::nullopt));
}

std::vector<std::string> spm_seeds() {
  text::SpmModel spm = text::small_spm();
  std::vector<std::string> seeds = {text::spm_bytes(spm)};
  spm.type = text::SpmModelType::kBpe;
  spm.byte_fallback = false;
  seeds.push_back(text::spm_bytes(spm));
  return seeds;
}

void read_spm(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "x.model", bytes);
  use(*text::load_tokenizer(folder / "x.model", std::nullopt));
}

void read_documents(const std::string& bytes, const std::filesystem::path& folder, config::TextFormat format) {
  write_bytes(folder / "documents", bytes);
  data::ReaderOptions options;
  options.input.format = format;
  options.input.max_bad_records = 1;
  options.batch_bytes = 64;
  data::DocumentReader reader({folder / "documents"}, options);
  while (const auto batch = reader.next()) {
    for (size_t i = 0; i < batch->size(); ++i) {
      if ((*batch)[i].empty()) {
        throw std::logic_error("an empty document was given out");
      }
    }
  }
}

void read_source_list(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "list.yaml", bytes);
  config::is_source_list(folder / "list.yaml");
  config::read_source_list(folder / "list.yaml", {});
}

/// Two tensors of weights and one of other numbers.
std::string small_safetensors() {
  const ScratchDirectory folder;
  const std::array<std::byte, 24> numbers{};
  const std::span<const std::byte> bytes(numbers);
  checkpoint::write_safetensors(
      folder / "w.safetensors",
      {{"a", {.dtype = checkpoint::DType::kF32, .shape = {2, 2}, .bytes = bytes.first(16)}},
       {"b", {.dtype = checkpoint::DType::kBF16, .shape = {4}, .bytes = bytes.first(8)}},
       {"ids", {.dtype = checkpoint::DType::kI64, .shape = {1, 1}, .bytes = bytes.first(8)}}});
  return read_bytes(folder / "w.safetensors");
}

/// Looks at every byte that a file says is there.
void use(const std::map<std::string, checkpoint::TensorBytes>& tensors) {
  unsigned sum = 0;
  for (const auto& [name, tensor] : tensors) {
    for (const std::byte byte : tensor.bytes) {
      sum += std::to_integer<unsigned>(byte);
    }
  }
  static_cast<void>(sum);
}

void read_safetensors(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "w.safetensors", bytes);
  use(checkpoint::SafetensorsFile(folder / "w.safetensors").tensors());
}

void read_shard_index(const std::string& bytes, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "one.safetensors")) {
    write_bytes(folder / "one.safetensors", small_safetensors());
  }
  write_bytes(folder / checkpoint::kWeightsIndex, bytes);
  use(checkpoint::Weights(folder).tensors());
}

std::vector<std::string> hub_config_seeds() {
  model::EncoderShape shape = {.vocab = 50, .hidden = 8, .layers = 3, .heads = 2, .ffn = 16};
  std::vector<std::string> seeds = {model::to_hub_config(shape, {.kind = model::HeadKind::kMaskedLm}).dump()};
  shape.arch = config::Arch::kModern;
  model::Head head = {.kind = model::HeadKind::kClassifier};
  head.outputs = 2;
  seeds.push_back(model::to_hub_config(shape, head).dump());
  nlohmann::json newer = model::to_hub_config(shape, head);  // as transformers 5 writes it
  newer.erase("global_attn_every_n_layers");
  newer["layer_types"] = {"full_attention", "sliding_attention", "full_attention"};
  newer["rope_parameters"] = {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}},
                              {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}}};
  seeds.push_back(newer.dump());
  return seeds;
}

void read_hub_config(const std::string& bytes, const std::filesystem::path& /*folder*/) {
  const auto config = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (config.is_discarded()) {
    throw DataError("not JSON");  // told from the rest before it gets here, see checkpoint/model_directory.cpp
  }
  const auto shape = model::shape_from_hub_config(config, "config.json");
  const auto head = model::head_from_hub_config(config, "config.json");
  if (!model::parameter_specs(shape, head).front().shape.front()) {
    throw std::logic_error("a model without words was accepted");
  }
  model::to_hub_config(shape, head).dump();
}

void read_modules(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true}");
  write_bytes(folder / "modules.json", bytes);
  checkpoint::read_sentence_modules(folder);
}

void read_pooling(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "modules.json", "[{\"type\": \"x.Pooling\", \"path\": \"1_Pooling\"}]");
  write_bytes(folder / "1_Pooling/config.json", bytes);
  checkpoint::read_sentence_modules(folder);
}

void read_config(const std::string& bytes, const std::filesystem::path& folder) {
  write_bytes(folder / "config.yaml", bytes);
  config::PretrainConfig config;
  config::apply_sources(config::fields_of(config), {.files = {folder / "config.yaml"}, .overrides = {}});
}

std::vector<FuzzTarget> general_targets() {
  return {
      {"shard", shard_seeds,
       [](const std::string& bytes, const std::filesystem::path& folder) {
         write_bytes(folder / "sealed.bin", with_right_header_hash(bytes));
         read_shard(folder / "sealed.bin");
         write_bytes(folder / "raw.bin", bytes);
         read_shard(folder / "raw.bin");
       }},
      {"manifest", manifest_seeds, read_manifest},
      {"tokenizer_json", [] { return saved_tokenizers("tokenizer.json"); }, read_tokenizer_json},
      {"tokenizer_config", [] { return std::vector{saved_tokenizers("tokenizer_config.json").front()}; },
       read_tokenizer_config},
      {"spm", spm_seeds, read_spm},
      {"text",
       [] {
         return std::vector<std::string>{"one\ntwo\n\nthree", "\xEF\xBB\xBFone\r\n\r\ntwo\r\n",
                                         "{\"text\": \"one\"}\n{\"text\": \"t\\u00e4o\"}\n"};
       },
       [](const std::string& bytes, const std::filesystem::path& folder) {
         read_documents(bytes, folder, config::TextFormat::kAuto);
       }},
      {"jsonl",
       [] {
         return std::vector<std::string>{
             "{\"text\": \"one\", \"meta\": {\"a\": [1, null, true]}}\n\n{\"text\": \"t\\n\"}"};
       },
       [](const std::string& bytes, const std::filesystem::path& folder) {
         read_documents(bytes, folder, config::TextFormat::kJsonl);
       }},
      {"source_list",
       [] {
         return std::vector<std::string>{
             "sources:\n  - {path: a.txt, weight: 0.5}\n  - path: [b, c]\n    max_documents: 3\n    format: lines\n"};
       },
       read_source_list},
      {"config",
       [] {
         return std::vector<std::string>{
             "model:\n  layers: 4\n  hidden: 256\nbatch: {rows: 16}\nschedule:\n  anneal: cosine\n"};
       },
       read_config},
      {"safetensors", [] { return std::vector{small_safetensors()}; }, read_safetensors},
      {"shard_index",
       [] {
         return std::vector<std::string>{
             R"({"metadata": {"total_size": 32}, "weight_map": {"a": "one.safetensors", "b": "one.safetensors", "ids": "one.safetensors"}})"};
       },
       read_shard_index},
      {"hub_config", hub_config_seeds, read_hub_config},
      {"sentence_modules",
       [] {
         return std::vector<std::string>{
             R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},)"
             R"({"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},)"
             R"({"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])"};
       },
       read_modules},
      {"sentence_pooling",
       [] {
         return std::vector<std::string>{
             R"({"word_embedding_dimension": 8, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true})",
             R"({"embedding_dimension": 8, "pooling_mode": "cls"})"};
       },
       read_pooling},
  };
}

}  // namespace

std::span<const FuzzTarget> fuzz_targets() {
  static const std::vector<FuzzTarget> targets = [] {
    std::vector<FuzzTarget> all = general_targets();
    std::ranges::copy(glue_targets(), std::back_inserter(all));
    std::ranges::copy(monitor_targets(), std::back_inserter(all));
    return all;
  }();
  return targets;
}

bool accepts(const FuzzTarget& target, const std::string& bytes, const std::filesystem::path& folder) {
  try {
    target.read(bytes, folder);
    return true;
  } catch (const Error& error) {
    const bool is_for_the_user = error.code() == ExitCode::kData || error.code() == ExitCode::kUsage;
    const bool is_one_line = std::string_view(error.what()).find('\n') == std::string_view::npos;
    if (!is_for_the_user || (error.code() == ExitCode::kData && !is_one_line)) {
      throw std::logic_error(cat(target.name, ": ", error.what()));
    }
    return false;
  } catch (const std::exception& error) {
    throw std::logic_error(cat(target.name, ": ", error.what()));
  }
}

}  // namespace bertcram::test
