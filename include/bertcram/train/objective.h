#pragma once
// What pretraining minimises, and the models that come of it.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bertcram/config/pretrain_config.h"
#include "bertcram/data/packed_dataset.h"
#include "bertcram/model/encoder.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/train/held_out.h"
#include "bertcram/util/stop.h"

namespace bertcram::train {

/// Loss of one forward pass. Sums, so that passes can be added up: [] fp32 each, on the model's device.
struct BatchLoss {
  at::Tensor total;                 ///< for backward; divided by the predictions of the whole batch, the objective
  at::Tensor masked_lm;             ///< nats over the predictions, without gradient
  at::Tensor replaced_tokens = {};  ///< nats over all tokens, without gradient; undefined without discriminator
  at::Tensor replaced_tokens_correct = {};  ///< tokens told right, likewise

  /// Adds up all but `total`.
  void add(const BatchLoss& other);
};

/// A model that a run trains.
struct TrainedModel {
  std::string folder;  ///< in the run's folder
  model::EncoderShape shape;
  model::Head head;
  std::string prefix;  ///< of its parameters, but the embeddings
};

struct BatchTensors;

class Objective {
 public:
  explicit Objective(at::Device device) : device_(device) {}
  virtual ~Objective() = default;

  at::Device device() const { return device_; }

  virtual BatchLoss loss(const data::MaskedBatch& batch, const model::EncodeOptions& options) const;
  /// Of a batch that is on the device. @param mask_prob  share of its tokens that are predicted; 0 if !needs_mask_prob()
  virtual BatchLoss loss(const BatchTensors& tensors, double mask_prob, const model::EncodeOptions& options) const = 0;
  virtual bool needs_mask_prob() const = 0;
  /// Scores samples [0, rows) in forward passes of micro_rows. @return nullopt when asked to stop on the way
  virtual std::optional<HeldOutScores> evaluate(const data::MaskedBatches& batches, int64_t rows, int64_t micro_rows,
                                                const util::StopFlag& stop) const = 0;
  /// What fills in masked tokens: the model, or the generator of replaced-token detection.
  virtual const model::Encoder& masked_lm() const = 0;
  /// Floating-point operations per trained token, see model::flops_per_token.
  virtual double flops_per_token(int64_t seq_len) const = 0;
  /// The model that the run is for, first.
  virtual std::vector<TrainedModel> models() const = 0;

 private:
  at::Device device_;
};

/// The parameters that the objective trains.
std::vector<nn::ParameterSpec> objective_specs(const config::PretrainConfig& config, const model::EncoderShape& shape);

/// Masked language modelling (Devlin et al. 2019) or replaced-token detection (Clark et al. 2020) of these parameters,
/// which must outlive it.
std::unique_ptr<Objective> make_objective(const config::PretrainConfig& config, const model::EncoderShape& shape,
                                          const nn::Parameters& parameters);

}  // namespace bertcram::train
