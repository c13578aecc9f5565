#include "bertcram/monitor/svg_plot.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "bertcram/util/error.h"
#include "bertcram/util/text.h"

namespace bertcram::monitor {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 360;
constexpr double kLeft = 64;
constexpr double kRight = 16;
constexpr double kTop = 36;
constexpr double kBottom = 48;
constexpr size_t kBuckets = 400;
// Okabe and Ito's colours, told apart by colour-blind people too; legible on white and on black.
constexpr std::array<const char*, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#8a8a00"};
constexpr const char* kStyle =
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}.grid{stroke:#8884}"
    ".axis{stroke:#888}.rule{stroke:#888;stroke-dasharray:3 3}"
    "@media (prefers-color-scheme:dark){text{fill:#ccc}}</style>";

std::string fixed(double value) { return util::format_fixed(value, 1); }

/// Whether an axis can show the value, with air around it, without leaving what doubles hold.
bool is_showable(double value, bool is_log) {
  constexpr double kLargest = 1e300;
  return std::abs(value) <= kLargest && (!is_log || value >= 1 / kLargest);
}

/// Values to pixels.
class Scale {
 public:
  Scale(double low, double high, bool is_log, double from, double to)
      : low_(is_log ? std::log10(low) : low),
        high_(is_log ? std::log10(high) : high),
        is_log_(is_log),
        from_(from),
        to_(to) {}

  bool shows(double value) const { return is_showable(value, is_log_); }
  double operator()(double value) const {
    const double place = is_log_ ? std::log10(value) : value;
    return from_ + (to_ - from_) * (high_ > low_ ? (place - low_) / (high_ - low_) : 0.5);
  }

 private:
  double low_;
  double high_;
  bool is_log_;
  double from_;
  double to_;
};

/// The smallest and largest value that an axis shows.
class Range {
 public:
  explicit Range(bool is_log) : is_log_(is_log) {}
  void add(double value) {
    if (is_showable(value, is_log_)) {
      low_ = std::min(low_, value);
      high_ = std::max(high_, value);
    }
  }
  bool is_empty() const { return low_ > high_; }
  /// With some air around the values.
  std::pair<double, double> padded(double share) const {
    if (is_log_) {
      const double factor = std::max(std::pow(10.0, share * (std::log10(high_) - std::log10(low_))), 1.05);
      return {std::max(low_ / factor, std::numeric_limits<double>::min()),
              std::min(high_ * factor, std::numeric_limits<double>::max())};
    }
    const double air = high_ > low_ ? share * (high_ - low_) : std::max(1e-9, 0.1 * std::abs(high_));
    return {low_ - air, high_ + air};
  }

 private:
  bool is_log_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

std::string text_at(double x, double y, const char* anchor, const std::string& text, const std::string& more = "") {
  return cat("<text x=\"", fixed(x), "\" y=\"", fixed(y), "\" text-anchor=\"", anchor, "\"", more, ">",
             escape_html(text), "</text>\n");
}

std::string line_between(double x1, double y1, double x2, double y2, const std::string& more) {
  return cat("<line x1=\"", fixed(x1), "\" y1=\"", fixed(y1), "\" x2=\"", fixed(x2), "\" y2=\"", fixed(y2), "\" ", more,
             "/>\n");
}

/// The curve as one path; every gap begins it anew.
std::string path_of(const Curve& curve, const Scale& x, const Scale& y) {
  std::vector<double> xs = curve.x;
  std::vector<double> ys = curve.y;
  thin_out(xs, ys, kBuckets);
  std::string path;
  bool is_drawing = false;
  for (size_t i = 0; i < std::min(xs.size(), ys.size()); ++i) {
    if (!x.shows(xs[i]) || !y.shows(ys[i])) {
      is_drawing = false;
      continue;
    }
    path += cat(is_drawing ? "L" : "M", fixed(x(xs[i])), " ", fixed(y(ys[i])));
    is_drawing = true;
  }
  return path;
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {}

  std::string text() {
    Range x(plot_.x.is_log);
    Range y(plot_.y.is_log);
    for (const Curve& curve : plot_.curves) {
      for (size_t i = 0; i < std::min(curve.x.size(), curve.y.size()); ++i) {
        if (is_showable(curve.x[i], plot_.x.is_log) && is_showable(curve.y[i], plot_.y.is_log)) {
          x.add(curve.x[i]);
          y.add(curve.y[i]);
        }
      }
    }
    for (const Marker& marker : plot_.markers) {
      for (const double value : {marker.y, marker.low < marker.high ? marker.low : marker.y,
                                 marker.low < marker.high ? marker.high : marker.y}) {
        y.add(value);
      }
      x.add(marker.x);
    }
    std::string out = cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", kWidth, " ", kHeight,
                          "\" role=\"img\" aria-label=\"", escape_html(plot_.title), "\">\n", kStyle,
                          text_at(kLeft, 20, "start", plot_.title, " class=\"title\""));
    if (x.is_empty() || y.is_empty()) {
      return out + text_at(kWidth / 2, kHeight / 2, "middle", "nothing to show yet") + "</svg>\n";
    }
    const auto [x_low, x_high] = plot_.categories.empty()
                                     ? x.padded(plot_.markers.empty() ? 0.0 : 0.08)
                                     : std::pair(-0.5, static_cast<double>(plot_.categories.size()) - 0.5);
    const auto [y_low, y_high] = y.padded(0.05);
    const Scale across(x_low, x_high, plot_.x.is_log, kLeft, kWidth - kRight);
    const Scale up(y_low, y_high, plot_.y.is_log, kHeight - kBottom, kTop);
    out += frame(across, up, x_low, x_high, y_low, y_high);
    for (const double place : plot_.rules) {
      if (across.shows(place) && place >= x_low && place <= x_high) {
        out += line_between(across(place), kTop, across(place), kHeight - kBottom, "class=\"rule\"");
      }
    }
    for (const Curve& curve : plot_.curves) {
      out += cat("<path d=\"", path_of(curve, across, up), "\" fill=\"none\" stroke=\"", colour_of(curve.name),
                 "\" stroke-width=\"", curve.is_faint ? "1" : "1.8", "\"", curve.is_faint ? " opacity=\"0.3\"" : "",
                 "/>\n");
    }
    for (const Marker& marker : plot_.markers) {
      out += drawn(marker, across, up);
    }
    return out + legend() + "</svg>\n";
  }

 private:
  std::string frame(const Scale& across, const Scale& up, double x_low, double x_high, double y_low,
                    double y_high) const {
    std::string out;
    for (size_t i = 0; i < plot_.categories.size(); ++i) {
      out += text_at(across(static_cast<double>(i)), kHeight - kBottom + 16, "middle", plot_.categories[i]);
    }
    for (const double tick :
         plot_.categories.empty() ? axis_ticks(x_low, x_high, plot_.x.is_log) : std::vector<double>{}) {
      out += line_between(across(tick), kTop, across(tick), kHeight - kBottom, "class=\"grid\"");
      out += text_at(across(tick), kHeight - kBottom + 16, "middle", tick_text(tick));
    }
    for (const double tick : axis_ticks(y_low, y_high, plot_.y.is_log)) {
      out += line_between(kLeft, up(tick), kWidth - kRight, up(tick), "class=\"grid\"");
      out += text_at(kLeft - 6, up(tick) + 4, "end", tick_text(tick));
    }
    out += line_between(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "class=\"axis\"");
    out += line_between(kLeft, kTop, kLeft, kHeight - kBottom, "class=\"axis\"");
    out += text_at((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", plot_.x.label);
    const double middle = (kTop + kHeight - kBottom) / 2;
    out += text_at(16, middle, "middle", plot_.y.label, cat(" transform=\"rotate(-90 16 ", fixed(middle), ")\""));
    return out;
  }

  std::string drawn(const Marker& marker, const Scale& across, const Scale& up) const {
    if (!across.shows(marker.x) || !up.shows(marker.y)) {
      return {};
    }
    const double x = across(marker.x);
    const double y = up(marker.y);
    const std::string colour = marker.is_ours ? kColours[1] : "#888";
    std::string out;
    if (marker.low < marker.high && up.shows(marker.low) && up.shows(marker.high)) {
      out += line_between(x, up(marker.low), x, up(marker.high), cat("stroke=\"", colour, "\" stroke-width=\"1.5\""));
    }
    out += cat("<circle cx=\"", fixed(x), "\" cy=\"", fixed(y), "\" r=\"4.5\" stroke=\"", colour, "\" fill=\"",
               marker.is_ours ? colour : "none", "\" stroke-width=\"1.8\"",
               marker.tip.empty() ? "/>" : cat("><title>", escape_html(marker.tip), "</title></circle>"), "\n");
    const bool is_at_the_right = x > kWidth - 160;
    return out + text_at(is_at_the_right ? x - 8 : x + 8, y - 6, is_at_the_right ? "end" : "start", marker.name);
  }

  std::string legend() const {
    std::string out;
    double x = kWidth - kRight;
    for (auto name = names_.rbegin(); name != names_.rend(); ++name) {
      if (name->empty() || !is_in_legend(*name)) {
        continue;
      }
      out += text_at(x, 20, "end", *name);
      x -= 7.0 * static_cast<double>(name->size()) + 6;  // about the width of the text
      out += cat("<rect x=\"", fixed(x - 10), "\" y=\"11\" width=\"10\" height=\"10\" fill=\"", colour_at(*name),
                 "\"/>\n");
      x -= 24;
    }
    return out;
  }

  bool is_in_legend(const std::string& name) const {
    return names_.size() > 1 &&
           std::ranges::any_of(plot_.curves, [&](const Curve& curve) { return curve.name == name && !curve.is_faint; });
  }

  const char* colour_of(const std::string& name) {
    if (std::ranges::find(names_, name) == names_.end()) {
      names_.push_back(name);
    }
    return colour_at(name);
  }
  const char* colour_at(const std::string& name) const {
    return kColours[static_cast<size_t>(std::ranges::find(names_, name) - names_.begin()) % kColours.size()];
  }

  const Plot& plot_;
  std::vector<std::string> names_;
};

}  // namespace

std::string svg_of(const Plot& plot) { return Drawing(plot).text(); }

std::vector<double> axis_ticks(double low, double high, bool is_log, size_t count) {
  std::vector<double> ticks;
  if (is_log) {
    const bool has_few = std::log10(high) - std::log10(low) < 2;
    const auto last = static_cast<int>(std::ceil(std::log10(high)));
    const auto first = static_cast<int>(std::floor(std::log10(low)));
    const int stride = std::max(1, (last - first) / static_cast<int>(count));
    for (int power = first; power <= last; power += stride) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double tick = digit * std::pow(10.0, power);
        if (tick >= low && tick <= high && (digit == 1 || has_few)) {
          ticks.push_back(tick);
        }
      }
    }
    return ticks;
  }
  if (high <= low) {
    return {low};
  }
  const double rough = (high - low) / static_cast<double>(std::max<size_t>(1, count));
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double share = rough / power;
  const double step = power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
  for (double index = std::ceil(low / step); index * step <= high; ++index) {
    ticks.push_back(index * step);
    if (ticks.size() > 4 * count) {  // steps too small for doubles of this size
      break;
    }
  }
  return ticks;
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size == 0) {
    return "0";
  }
  if (size >= 1e15 || size < 1e-3) {
    constexpr int kDigits = 12;  // a tick is a multiple of a step, with the rounding errors of one
    std::array<char, 32> text{};
    return {text.data(), std::to_chars(text.begin(), text.end(), value, std::chars_format::general, kDigits).ptr};
  }
  for (const auto& [unit, suffix] : {std::pair(1e12, "T"), std::pair(1e9, "G"), std::pair(1e6, "M")}) {
    if (size >= unit) {
      return util::format_number(std::round(value / unit * 1000) / 1000) + suffix;
    }
  }
  const double rounded = std::round(value * 1e6) / 1e6;
  return size >= 1000 && rounded == std::round(rounded) ? util::format_count(static_cast<int64_t>(rounded))
                                                        : util::format_number(rounded);
}

std::vector<double> smoothed(const std::vector<double>& values, double span) {
  const double keep = 1 - 1 / std::max(1.0, span);
  std::vector<double> result;
  double sum = 0;
  double weight = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) {
      result.push_back(value);
      continue;
    }
    sum = keep * sum + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    result.push_back(sum / weight);
  }
  return result;
}

void thin_out(std::vector<double>& x, std::vector<double>& y, size_t buckets) {
  const size_t size = std::min(x.size(), y.size());
  if (buckets == 0 || size <= 4 * buckets) {
    return;
  }
  std::vector<size_t> kept;
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    const size_t begin = bucket * size / buckets;
    const size_t end = (bucket + 1) * size / buckets;
    std::vector<size_t> chosen = {begin, end - 1};
    std::optional<size_t> lowest;
    std::optional<size_t> highest;
    std::optional<size_t> gap;  // stays one
    for (size_t i = begin; i < end; ++i) {
      if (!std::isfinite(y[i])) {
        gap = gap.value_or(i);
        continue;
      }
      lowest = !lowest || y[i] < y[*lowest] ? i : *lowest;
      highest = !highest || y[i] > y[*highest] ? i : *highest;
    }
    for (const auto& place : {lowest, highest, gap}) {
      if (place) {
        chosen.push_back(*place);
      }
    }
    std::ranges::sort(chosen);
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());  // clang 14 has no std::ranges::unique
    kept.insert(kept.end(), chosen.begin(), chosen.end());
  }
  for (size_t i = 0; i < kept.size(); ++i) {
    x[i] = x[kept[i]];
    y[i] = y[kept[i]];
  }
  x.resize(kept.size());
  y.resize(kept.size());
}

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

}  // namespace bertcram::monitor
