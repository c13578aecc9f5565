#include "bertcram/train/loaded_model.h"

#include "bertcram/model/parameter_specs.h"
#include "bertcram/util/error.h"

namespace bertcram::train {

LoadedModel::LoadedModel(const checkpoint::ModelDirectory& source, const model::Head& head, const Runtime& runtime)
    : parameters_(model::parameter_specs(source.shape, head), runtime.compute_type, runtime.device),
      encoder_(model::make_encoder(source.shape, head, parameters_)) {
  if (head.kind != model::HeadKind::kNone && !head.refusal.empty()) {
    throw DataError(head.refusal);
  }
  checkpoint::load_weights(source.path, parameters_, checkpoint::Strictness::kComplete);
}

}  // namespace bertcram::train
