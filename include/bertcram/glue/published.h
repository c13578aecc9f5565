#pragma once
// Published GLUE dev scores, to stand beside a run's own.

#include <span>
#include <string>

#include "bertcram/glue/protocol.h"

namespace bertcram::glue {

/// One row. Its source is named in published.cpp.
struct PublishedRow {
  std::string name;
  std::string protocol;  ///< whose rules it follows: "sane", "seed", "transfer"
  TaskScores scores;     ///< the nine entries of the averages, 0..100
  double average;        ///< as published
  bool is_nine;          ///< the published average is of nine numbers (sane9), not of eight tasks (transfer8)
  double flops = 0;      ///< spent on training by the model's arithmetic, forward and backward; 0: not known
};

/// Rows that state all nine entries.
std::span<const PublishedRow> published_rows();

}  // namespace bertcram::glue
