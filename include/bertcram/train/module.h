#pragma once
// The boundary between bertcram and libbertcram_training.so, which alone links LibTorch. LibTorch takes some 0.4 s and
// 100 MB to load, which `bertcram --help` and the commands for text do without.

#include "bertcram/train/bench.h"
#include "bertcram/train/classifier.h"
#include "bertcram/train/embedder.h"
#include "bertcram/train/evaluator.h"
#include "bertcram/train/finetuner.h"
#include "bertcram/train/machine_facts.h"
#include "bertcram/train/mask_filler.h"
#include "bertcram/train/measure_machine.h"
#include "bertcram/train/pair_evaluator.h"
#include "bertcram/train/pretrainer.h"
#include "bertcram/train/task_evaluator.h"

namespace bertcram::train {

/// What the module offers; both sides are built together.
struct Functions {
  decltype(&train::run_pretrain) run_pretrain;
  decltype(&train::run_finetune) run_finetune;
  decltype(&train::run_bench) run_bench;
  decltype(&train::measure_machine) measure_machine;
  decltype(&train::inspect_machine) inspect_machine;
  decltype(&train::evaluate_held_out) evaluate_held_out;
  decltype(&train::evaluate_task) evaluate_task;
  decltype(&train::evaluate_pairs) evaluate_pairs;
  decltype(&train::open_embedder) open_embedder;
  decltype(&train::open_mask_filler) open_mask_filler;
  decltype(&train::open_classifier) open_classifier;
};

inline constexpr const char* kModule = "libbertcram_training.so";
/// What the module exports.
inline constexpr const char* kGetFunctions = "bertcram_training_functions";
using GetFunctions = const Functions*();

}  // namespace bertcram::train
