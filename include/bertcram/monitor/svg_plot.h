#pragma once
// Plots as SVG text: for the report, for files of their own. No fonts, scripts or other files are needed to show them.

#include <cstddef>
#include <string>
#include <vector>

namespace bertcram::monitor {

/// Points that are joined; one that is not finite, larger than 1e300, or not positive on a logarithmic axis interrupts the line.
struct Curve {
  std::string name = {};  ///< in the legend; curves of the same name have one colour
  std::vector<double> x = {};
  std::vector<double> y = {};
  bool is_faint = false;  ///< raw values behind their smoothed ones: no legend entry
};

/// A named point, with an interval if low < high.
struct Marker {
  std::string name = {};  ///< beside it
  std::string tip = {};   ///< shown while the mouse is on it, where there is no room for a name
  double x = 0;
  double y = 0;
  double low = 0;
  double high = 0;
  bool is_ours = false;  ///< filled and coloured, against hollow ones of others
};

struct Axis {
  std::string label = {};
  bool is_log = false;
};

struct Plot {
  std::string title = {};
  Axis x = {};
  Axis y = {};
  std::vector<Curve> curves = {};
  std::vector<Marker> markers = {};
  std::vector<double> rules = {};            ///< vertical lines, e.g. where a run was interrupted
  std::vector<std::string> categories = {};  ///< instead of numbers on the x axis: of x = 0, 1, …
};

/// A whole `<svg>` element; text is escaped. A plot without a finite point says so.
std::string svg_of(const Plot& plot);

/// Round numbers that cover [low, high] in about `count` steps of 1, 2 or 5 times a power of ten; for a logarithmic axis
/// powers of ten, with 2 and 5 between them where few fit. REQUIRES: low <= high, both finite; positive if logarithmic
std::vector<double> axis_ticks(double low, double high, bool is_log, size_t count = 6);

/// "1,200", "0.002", "3e-05", "2.5M": as short as the numbers of an axis allow.
std::string tick_text(double value);

/// The exponential moving average over about `span` points, without the pull of its start; gaps stay gaps.
std::vector<double> smoothed(const std::vector<double>& values, double span);

/// As few points as draw the same line: of each of `buckets` stretches the first, smallest, largest and last, and a gap
/// where there is one.
void thin_out(std::vector<double>& x, std::vector<double>& y, size_t buckets);

/// For text in HTML and SVG.
std::string escape_html(const std::string& text);

}  // namespace bertcram::monitor
