#include "bertcram/checkpoint/model_directory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/checkpoint/weights.h"
#include "bertcram/model/hub_config.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"
#include "missing_model.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kConfigFile = "config.json";
constexpr size_t kShownNames = 5;

json read_config(const fs::path& directory) {
  const fs::path path = directory / kConfigFile;
  if (!fs::exists(path)) {
    throw DataError(
        cat(directory.string(), ": no model here (", kConfigFile, " is missing); ", instead_of_a_model(directory)));
  }
  try {
    return util::parse_json(util::MappedFile(path).text());
  } catch (const json::exception& error) {
    throw DataError(cat(path.string(), ": not valid JSON (", util::json_error_text(error.what()), ")"));
  }
}

/// Of the first tensor, which is an embedding.
config::Arch arch_of(const std::vector<nn::NamedTensor>& targets) {
  return model::is_embedding(targets.front().name, config::Arch::kModern) ? config::Arch::kModern : config::Arch::kBert;
}

bool is_encoder_name(std::string_view name, config::Arch arch) {
  return name.starts_with(model::encoder_prefix(arch)) && !name.starts_with("bert.pooler.");
}

/// The module that a head's tensor belongs to: "cls.predictions.", "bert.pooler.", "head.", …
std::string_view head_module(std::string_view name) {
  const bool is_nested = name.starts_with("cls.") || name.starts_with("bert.pooler.");
  const size_t first = name.find('.');
  return name.substr(0, (is_nested ? name.find('.', first + 1) : first) + 1);
}

/// The file's tensors under the names of models with a head: BertModel and ModernBertModel leave out the encoder's prefix,
/// and models converted from TensorFlow (bert-base-uncased among them) call the norms' weight and bias gamma and beta.
std::map<std::string, TensorBytes> with_usual_names(const Weights& weights, config::Arch arch) {
  const std::string prefix = model::encoder_prefix(arch);
  const auto is_prefixed = [&](const auto& entry) { return entry.first.starts_with(prefix + "embeddings."); };
  const bool is_bare = std::ranges::none_of(weights.tensors(), is_prefixed);
  std::map<std::string, TensorBytes> usual;
  for (const auto& [name, tensor] : weights.tensors()) {
    const bool is_root = name.starts_with("embeddings.") || name.starts_with("encoder.") ||
                         name.starts_with("pooler.") || name.starts_with("layers.") || name.starts_with("final_norm.");
    std::string better = is_bare && is_root ? prefix + name : name;
    for (const auto& [legacy, ours] :
         {std::pair(".LayerNorm.gamma", ".LayerNorm.weight"), std::pair(".LayerNorm.beta", ".LayerNorm.bias")}) {
      if (better.ends_with(legacy)) {
        better.replace(better.size() - std::string_view(legacy).size(), std::string::npos, ours);
      }
    }
    if (!usual.emplace(better, tensor).second) {
      throw DataError(cat(weights.path().string(), ": the tensor '", better, "' is there twice, under two names"));
    }
  }
  return usual;
}

/// A masked LM may hold its decoder a second time, under these names. @throws DataError if the two differ: Hugging Face
/// would decode with the second
void drop_tied_copies(std::map<std::string, TensorBytes>& tensors, config::Arch arch, const std::string& where) {
  const bool is_bert = arch == config::Arch::kBert;
  for (const auto& [copy, original] :
       {std::pair<std::string, std::string>(is_bert ? "cls.predictions.decoder.weight" : "decoder.weight",
                                            model::word_embeddings_name(arch)),
        std::pair<std::string, std::string>(is_bert ? "cls.predictions.decoder.bias" : "",
                                            model::decoder_bias_name(arch))}) {
    const auto second = tensors.find(copy);
    if (second == tensors.end()) {
      continue;
    }
    const auto first = tensors.emplace(original, second->second).first;  // some files hold the second only
    if (!std::ranges::equal(first->second.bytes, second->second.bytes)) {
      throw DataError(cat(where, ": '", copy, "' differs from '", original,
                          "'; a decoder that is not tied to the word embeddings is not supported"));
    }
    tensors.erase(copy);
  }
}

/// "a, b, c, …"
std::string shown(std::vector<std::string> names) {
  const size_t count = names.size();
  names.resize(std::min(count, kShownNames));
  return util::join(names, ", ") + (count > kShownNames ? ", …" : "");
}

/// "1 tensor is …", "2 tensors are …"
std::string counted(const std::vector<std::string>& names, const char* what) {
  return cat(names.size(), names.size() == 1 ? " tensor is " : " tensors are ", what);
}

/// Of a file's tensors that are not wanted, those that are no other head's and no buffer.
std::vector<std::string> without_place(const std::vector<std::string>& unexpected,
                                       const std::vector<nn::NamedTensor>& targets, Strictness strictness) {
  const config::Arch arch = arch_of(targets);
  std::set<std::string_view> modules;  // of the wanted head
  for (const nn::NamedTensor& target : targets) {
    if (strictness == Strictness::kComplete && !is_encoder_name(target.name, arch)) {
      modules.insert(head_module(target.name));
    }
  }
  std::vector<std::string> names;
  for (const std::string& name : unexpected) {
    const bool belongs_here = is_encoder_name(name, arch) || modules.contains(head_module(name));
    if (belongs_here && !name.ends_with(".position_ids")) {
      names.push_back(name);
    }
  }
  return names;
}

/// config.json of such a model.
std::string config_text(const StoredModel& model) {
  return util::json_text(model::to_hub_config(model.shape, model.head), 2) + "\n";
}

}  // namespace

std::vector<nn::NamedTensor> model_tensors(const model::EncoderShape& shape, const model::Head& head,
                                           nn::Parameters& parameters, const std::string& prefix) {
  std::map<std::string, at::Tensor> views;
  for (const nn::NamedTensor& view : parameters.stored_views(parameters.masters())) {
    views[view.name] = view.tensor;
  }
  std::vector<nn::NamedTensor> tensors;
  for (const nn::ParameterSpec& spec : model::parameter_specs(shape, head)) {
    for (const std::string& name : spec.parts) {
      tensors.push_back({name, views.at((model::is_embedding(name, shape.arch) ? "" : prefix) + name)});
    }
  }
  return tensors;
}

void write_model_directory(const fs::path& directory, const StoredModel& model, const text::Tokenizer& tokenizer) {
  util::StagedFolder staged(directory);
  tokenizer.save(staged.staging(),
                 {.max_tokens = model.shape.max_positions, .has_token_types = model.shape.arch == config::Arch::kBert});
  write_tensors(staged.staging() / kWeightsFile, model.tensors);
  util::write_file_atomically(staged.staging() / kConfigFile, config_text(model));
  staged.publish(kConfigFile, {});
}

bool is_model_of(const fs::path& directory, const StoredModel& model, const text::Tokenizer& tokenizer) {
  if (!text::has_tokenizer_files(directory) || util::has_leftovers(directory)) {
    return false;
  }
  try {
    if (util::read_file(directory / kConfigFile) != config_text(model) ||
        open_model_directory(directory).tokenizer->fingerprint() != tokenizer.fingerprint()) {
      return false;
    }
    const SafetensorsFile file(directory / kWeightsFile);
    return file.tensors().size() == model.tensors.size() &&
           std::ranges::all_of(model.tensors, [&](const nn::NamedTensor& view) {
             const auto found = file.tensors().find(view.name);
             const at::Tensor host = view.tensor.to(at::kCPU).contiguous();
             return found != file.tensors().end() && found->second.dtype == DType::kF32 &&
                    found->second.bytes.size() == host.nbytes() &&
                    std::memcmp(found->second.bytes.data(), host.data_ptr(), host.nbytes()) == 0;
           });
  } catch (const DataError&) {
    return false;
  }
}

ModelDirectory open_model_directory(const fs::path& directory) {
  util::refuse_half_published(directory);
  ModelDirectory opened;
  opened.path = directory;
  const json config = read_config(directory);
  opened.shape = model::shape_from_hub_config(config, (directory / kConfigFile).string());
  opened.head = model::head_from_hub_config(config, (directory / kConfigFile).string());
  refuse_pickle(directory);
  opened.tokenizer = text::load_tokenizer(directory, std::nullopt);
  if (opened.tokenizer->vocab_size() > opened.shape.vocab) {
    throw DataError(cat(directory.string(), ": the tokenizer has ", opened.tokenizer->vocab_size(),
                        " pieces, the model only ", opened.shape.vocab, " embeddings; they do not belong together"));
  }
  return opened;
}

void require_masked_lm(const ModelDirectory& model) {
  if (model.head.kind == model::HeadKind::kMaskedLm) {
    return;
  }
  const auto what = [&]() -> const char* {
    switch (model.head.kind) {
      case model::HeadKind::kClassifier:
        return "a classifier; this needs the pretrained model (its dev score: bertcram eval --task T --data DIR)";
      case model::HeadKind::kTokenClassifier:
        return "a classifier of tokens; of a run with objective rtd, 'generator' beside it is the masked LM";
      default: return "an encoder without the masked-LM head that this needs; 'bertcram embed' goes without";
    }
  };
  throw DataError(cat("--model ", model.path.string(), " is ", what()));
}

void load_weights(const fs::path& directory, nn::Parameters& parameters, Strictness strictness) {
  auto targets = parameters.stored_views(parameters.masters());
  const config::Arch arch = arch_of(targets);
  if (strictness == Strictness::kEncoderOnly) {
    std::erase_if(targets, [](const nn::NamedTensor& target) { return model::is_tasks_own(target.name); });
  }
  const Weights weights(directory);
  const std::string where = weights.path().string();
  auto tensors = with_usual_names(weights, arch);
  if (std::ranges::find(targets, model::decoder_bias_name(arch), &nn::NamedTensor::name) != targets.end()) {
    drop_tied_copies(tensors, arch, where);
  }
  const auto report = read_tensors(tensors, where, targets);
  std::vector<std::string> missing = report.missing;
  if (strictness == Strictness::kEncoderOnly) {
    std::erase_if(missing, [&](const std::string& name) { return !is_encoder_name(name, arch); });
  }
  const auto displaced = without_place(report.unexpected, targets, strictness);
  if (!missing.empty() || !displaced.empty()) {
    const std::string lack = missing.empty() ? "" : cat(counted(missing, "missing"), ": ", shown(missing));
    const std::string excess =
        displaced.empty()
            ? ""
            : cat(counted(displaced, "without a place in the model of config.json"), ": ", shown(displaced));
    throw DataError(cat(where, ": ", lack, lack.empty() || excess.empty() ? "" : "; ", excess));
  }
  parameters.sync_compute();
}

}  // namespace bertcram::checkpoint
