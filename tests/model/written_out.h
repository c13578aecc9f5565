#pragma once
// Both encoders from their stored tensors in fp64, one formula after the other: the reference that tests compare with.

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "bertcram/model/shape.h"
#include "bertcram/nn/parameters.h"
#include "bertcram/util/error.h"
#include "nn/tensor_support.h"

namespace bertcram::model {

/// A model's stored tensors in fp64, and formulas that both architectures use.
class WrittenOut {
 public:
  WrittenOut(nn::Parameters& parameters, const EncoderShape& shape) : shape_(shape) {
    for (const nn::NamedTensor& view : parameters.stored_views(parameters.masters())) {
      tensors_[view.name] = view.tensor.to(at::kDouble);
    }
  }

 protected:
  const at::Tensor& stored(const std::string& name) const { return tensors_.at(name); }
  at::Tensor dense(const at::Tensor& x, const std::string& name) const {
    const at::Tensor product = at::matmul(x, stored(name + ".weight").t());
    return tensors_.contains(name + ".bias") ? product + stored(name + ".bias") : product;
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    const at::Tensor centred = x - x.mean(-1, /*keepdim=*/true);
    const at::Tensor variance = (centred * centred).mean(-1, /*keepdim=*/true);
    const at::Tensor scaled = centred / at::sqrt(variance + shape_.layer_norm_eps) * stored(name + ".weight");
    return tensors_.contains(name + ".bias") ? scaled + stored(name + ".bias") : scaled;
  }
  static at::Tensor gelu(const at::Tensor& x) { return 0.5 * x * (1 + at::erf(x / std::sqrt(2.0))); }
  /// One head of [seq, head_dim] each; what is not allowed is not seen.
  static at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t reach) {
    const int64_t seq = query.size(0);
    const at::Tensor scores = at::matmul(query, key.t()) / std::sqrt(static_cast<double>(query.size(1)));
    for (int64_t i = 0; i < seq; ++i) {
      for (int64_t j = 0; j < seq; ++j) {
        if (std::abs(i - j) > reach) {
          scores[i][j] = -std::numeric_limits<double>::infinity();
        }
      }
    }
    return at::matmul(at::softmax(scores, -1), value);
  }

  const EncoderShape& shape_;

 private:
  std::map<std::string, at::Tensor> tensors_;
};

inline constexpr int64_t kUnlimited = 1000;

/// Devlin et al. 2019; Vaswani et al. 2017.
class BertWrittenOut : public WrittenOut {
 public:
  using WrittenOut::WrittenOut;

  at::Tensor encode(const at::Tensor& ids, const at::Tensor& types) const {  // [seq] each
    at::Tensor x = norm(table("word").index_select(0, ids) + table("position").narrow(0, 0, ids.size(0)) +
                            table("token_type").index_select(0, types),
                        "bert.embeddings.LayerNorm");
    for (int64_t i = 0; i < shape_.layers; ++i) {
      const std::string layer = cat("bert.encoder.layer.", i, ".");
      x = norm(x + dense(all_heads(x, layer + "attention.self."), layer + "attention.output.dense"),
               layer + "attention.output.LayerNorm");
      x = norm(x + dense(gelu(dense(x, layer + "intermediate.dense")), layer + "output.dense"),
               layer + "output.LayerNorm");
    }
    return x;  // [seq, hidden]
  }

  at::Tensor logits(const at::Tensor& states) const {
    const at::Tensor active = gelu(dense(states, "cls.predictions.transform.dense"));
    return at::matmul(norm(active, "cls.predictions.transform.LayerNorm"), table("word").t()) +
           stored("cls.predictions.bias");
  }

 private:
  at::Tensor table(const std::string& name) const { return stored("bert.embeddings." + name + "_embeddings.weight"); }
  at::Tensor all_heads(const at::Tensor& x, const std::string& self) const {
    const int64_t dim = shape_.hidden / shape_.heads;
    std::vector<at::Tensor> mixed;
    for (int64_t head = 0; head < shape_.heads; ++head) {
      const auto part = [&](const char* name) { return dense(x, self + name).narrow(1, head * dim, dim); };
      mixed.push_back(attend(part("query"), part("key"), part("value"), kUnlimited));
    }
    return at::cat(mixed, 1);
  }
};

/// Warner et al. 2024; Su et al. 2021 for the rotation; Shazeer 2020 for the gated layer.
class ModernWrittenOut : public WrittenOut {
 public:
  using WrittenOut::WrittenOut;

  at::Tensor encode(const at::Tensor& ids) const {  // [seq]
    at::Tensor x = norm(stored("model.embeddings.tok_embeddings.weight").index_select(0, ids), "model.embeddings.norm");
    for (int64_t i = 0; i < shape_.layers; ++i) {
      const std::string layer = cat("model.layers.", i, ".");
      const at::Tensor read = i == 0 ? x : norm(x, layer + "attn_norm");
      x = x + dense(all_heads(dense(read, layer + "attn.Wqkv"), i), layer + "attn.Wo");
      const at::Tensor wide = dense(norm(x, layer + "mlp_norm"), layer + "mlp.Wi");
      const at::Tensor gated = gelu(wide.narrow(1, 0, shape_.ffn)) * wide.narrow(1, shape_.ffn, shape_.ffn);
      x = x + dense(gated, layer + "mlp.Wo");
    }
    return norm(x, "model.final_norm");  // [seq, hidden]
  }

  at::Tensor logits(const at::Tensor& states) const {
    return at::matmul(norm(gelu(dense(states, "head.dense")), "head.norm"),
                      stored("model.embeddings.tok_embeddings.weight").t()) +
           stored("decoder.bias");
  }

 private:
  /// Pairs (i, i + dim / 2) turned by position * theta^(-2 i / dim). @param x [seq, dim]
  static at::Tensor turn(const at::Tensor& x, double theta) {
    const int64_t dim = x.size(1);
    const at::Tensor turned = at::empty_like(x);
    for (int64_t position = 0; position < x.size(0); ++position) {
      for (int64_t i = 0; i < dim / 2; ++i) {
        const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(dim);
        const double angle = static_cast<double>(position) * std::pow(theta, exponent);
        turned[position][i] = x[position][i] * std::cos(angle) - x[position][i + dim / 2] * std::sin(angle);
        turned[position][i + dim / 2] = x[position][i + dim / 2] * std::cos(angle) + x[position][i] * std::sin(angle);
      }
    }
    return turned;
  }

  at::Tensor all_heads(const at::Tensor& qkv, int64_t layer) const {
    const bool is_global = layer % shape_.global_every == 0;
    const double theta = is_global ? shape_.global_rope_theta : shape_.local_rope_theta;
    const int64_t dim = shape_.hidden / shape_.heads;
    std::vector<at::Tensor> mixed;
    for (int64_t head = 0; head < shape_.heads; ++head) {
      const auto part = [&](int64_t block) { return qkv.narrow(1, block * shape_.hidden + head * dim, dim); };
      mixed.push_back(attend(turn(part(0), theta), turn(part(1), theta), part(2),
                             is_global ? kUnlimited : shape_.local_attention / 2));
    }
    return at::cat(mixed, 1);
  }
};

}  // namespace bertcram::model
