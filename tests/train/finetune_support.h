#pragma once
// A tiny pretrained model, and a task to fine-tune it on.

#include <string>
#include <utility>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/config/finetune_config.h"
#include "train/finetune_plan.h"
#include "train/pretrain_support.h"

namespace bertcram::test {

class FinetuneTest : public PretrainTest {
 protected:
  static constexpr int64_t kEpochs = 6;
  static constexpr int kExamples = 24;
  static constexpr int64_t kBatch = 4;

  FinetuneTest() {
    const auto config = config_for("pretrained");
    run(config);
    finetune_.model = config.output + "/model";
    model_ = checkpoint::open_model_directory(finetune_.model);
    runtime_ = train::set_up_runtime(config.runtime);
    task_.spec = glue::find_task("sst2");
    task_.max_tokens = 16;
    task_.train = split(kExamples, 1);
    task_.dev = {{.judge = task_.spec, .split = split(40, 2)}};
  }

  train::EncodedSplit split(int size, uint64_t seed) const {
    glue::Dataset dataset = {.labelling = glue::Labelling::kLabelled};
    const auto texts = random_documents(seed, size);
    for (int i = 0; i < size; ++i) {
      const std::string text = texts[static_cast<size_t>(i)].substr(0, 30);
      dataset.examples.push_back({.text_a = text, .label = text[3] % 2, .line = i + 1});
    }
    return train::encode_split(std::move(dataset), "sst2", *model_.tokenizer, 16);
  }

  config::FinetuneConfig finetune_;
  checkpoint::ModelDirectory model_;
  train::Runtime runtime_;
  train::LoadedTask task_;  ///< its recipe is the test's
};

}  // namespace bertcram::test
