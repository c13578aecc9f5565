#include "bertcram/glue/published.h"

#include <vector>

namespace bertcram::glue {
namespace {

/// In the order of the published tables.
TaskScores row(double mnli, double mnli_mm, double sst2, double stsb, double rte, double qnli, double qqp, double mrpc,
               double cola) {
  return {{"mnli", mnli}, {"mnli-mm", mnli_mm}, {"sst2", sst2}, {"stsb", stsb}, {"rte", rte},
          {"qnli", qnli}, {"qqp", qqp},         {"mrpc", mrpc}, {"cola", cola}};
}

}  // namespace

std::span<const PublishedRow> published_rows() {
  static const std::vector<PublishedRow> kRows = {
      // Geiping & Goldstein 2022, table of GLUE dev scores
      {"BERT-base, not pretrained", "sane", row(34.1, 34.1, 79.9, 17.8, 47.3, 50.0, 68.6, 77.9, 0.0), 45.5, true},
      // "Notes on training BERT from scratch on an 8GB consumer GPU": RTX 3060 Ti, 100 h; one run per task. FLOPs: 84
      // samples/s of 128 tokens, 678 million each with its dense head
      {"the seed (8 GB, 100 h)", "seed", row(79.3, 80.1, 89.1, 61.9, 55.9, 86.3, 86.4, 74.8, 41.0), 72.7, true, 2.6e18},
      // Geiping & Goldstein 2022, the same table: RTX A6000, 24 h
      {"Cramming v1 (48 GB, 24 h)", "sane", row(83.9, 84.1, 92.2, 84.6, 53.8, 89.5, 87.3, 87.5, 44.5), 78.6, true},
      // JonasGeiping/cramming 196c991, model_card.md: the best of five pretraining seeds. FLOPs: 9.1 billion tokens
      {"Cramming v2 (48 GB, 24 h)", "sane", row(84.1, 84.6, 92.0, 87.4, 58.5, 90.2, 87.5, 88.9, 53.3), 80.7, true,
       5.7e18},
      // Geiping & Goldstein 2022, the same table. FLOPs: Clark et al. 2020 (ELECTRA)
      {"BERT-base", "sane", row(83.2, 83.4, 91.9, 86.7, 59.2, 90.6, 87.7, 89.3, 56.5), 80.9, true, 6.4e19},
      {"RoBERTa-base", "sane", row(86.6, 86.4, 93.7, 90.4, 77.3, 92.1, 88.3, 91.4, 60.2), 85.1, true},
      // Ankner et al. 2024, table 1: masking 0.30 to 0.15, 37 billion tokens, 8 A100
      {"BERT-base on C4 (Ankner et al.)", "transfer",
       row(84.61, 85.13, 92.71, 89.87, 76.25, 90.89, 88.34, 91.87, 58.96), 84.29, true},
  };
  return kRows;
}

}  // namespace bertcram::glue
