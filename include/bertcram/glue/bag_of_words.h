#pragma once
// The score to beat: a linear classifier on bags of words.

#include <cstdint>
#include <vector>

#include "bertcram/glue/reader.h"
#include "bertcram/glue/task.h"

namespace bertcram::glue {

/// Trains on one split and answers for others: softmax regression (of a score: least squares, in the task's score_unit)
/// with a small L2 penalty, ten passes of AdaGrad (Duchi et al. 2011), on features of words (runs of letters and digits,
/// lower case): those of the text, each once, scaled to length 1; of a pair those of the first text, of the second, of both
/// and of only one, and the share of common words. Deterministic.
/// @param train  labelled, with its texts  @return per split, rows of task.classes() numbers: the highest is the answer
std::vector<std::vector<float>> bag_of_words_outputs(const TaskSpec& task, const Dataset& train,
                                                     const std::vector<Dataset>& others);

}  // namespace bertcram::glue
