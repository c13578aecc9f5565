#include "bertcram/train/module.h"

extern "C" const bertcram::train::Functions* bertcram_training_functions() {
  using namespace bertcram::train;
  static constexpr Functions kFunctions = {.run_pretrain = run_pretrain,
                                           .run_finetune = run_finetune,
                                           .run_bench = run_bench,
                                           .measure_machine = measure_machine,
                                           .inspect_machine = inspect_machine,
                                           .evaluate_held_out = evaluate_held_out,
                                           .evaluate_task = evaluate_task,
                                           .evaluate_pairs = evaluate_pairs,
                                           .open_embedder = open_embedder,
                                           .open_mask_filler = open_mask_filler,
                                           .open_classifier = open_classifier};
  return &kFunctions;
}
