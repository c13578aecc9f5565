#include "bertcram/monitor/svg_plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace bertcram::monitor {
namespace {

using Values = std::vector<double>;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(AxisTicks, AreRoundNumbersWithinTheRange) {
  EXPECT_EQ(axis_ticks(0, 10, false), Values({0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(-1, 1, false, 4), Values({-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(axis_ticks(3, 3, false), Values({3}));
  EXPECT_EQ(axis_ticks(100, 1e5, true), Values({100, 1000, 1e4, 1e5}));
  EXPECT_EQ(axis_ticks(1, 20, true), Values({1, 2, 5, 10, 20}));
  EXPECT_LE(axis_ticks(1e300, std::nextafter(1e300, 2e300), false).size(), 25U);
  EXPECT_LE(axis_ticks(1e-300, 1e300, true).size(), 12U);
}

TEST(TickText, IsShort) {
  EXPECT_EQ(tick_text(0), "0");
  EXPECT_EQ(tick_text(0.30000000000000004), "0.3");
  EXPECT_EQ(tick_text(1200), "1,200");
  EXPECT_EQ(tick_text(2500000), "2.5M");
  EXPECT_EQ(tick_text(3e-5), "3e-05");
  EXPECT_EQ(tick_text(3 * 2e-4), "0.0006");
  EXPECT_EQ(tick_text(3 * 5e-5), "0.00015");
  EXPECT_EQ(tick_text(-1e18), "-1e+18");
}

TEST(Smoothed, HasNoPullFromItsStart) {
  EXPECT_EQ(smoothed({5, 5, 5}, 10), Values({5, 5, 5}));
  EXPECT_EQ(smoothed({1, 7}, 1), Values({1, 7}));
  const Values values = smoothed({4, kNone, 8}, 2);  // weights 1/4 and 1/2
  EXPECT_EQ(values[0], 4);
  EXPECT_TRUE(std::isnan(values[1]));
  EXPECT_NEAR(values[2], (0.25 * 4 + 0.5 * 8) / 0.75, 1e-12);
}

TEST(ThinOut, KeepsEndsPeaksAndGaps) {
  Values x(100'000);
  std::iota(x.begin(), x.end(), 0.0);
  Values y(x.size(), 1.0);
  y[12'345] = 9;
  y[54'321] = -9;
  y[77'777] = kNone;
  thin_out(x, y, 100);
  EXPECT_LE(x.size(), 500U);
  EXPECT_EQ(x.front(), 0);
  EXPECT_EQ(x.back(), 99'999);
  EXPECT_EQ(*std::ranges::max_element(y, [](double a, double b) { return std::isfinite(b) && a < b; }), 9);
  EXPECT_NE(std::ranges::find(y, -9.0), y.end());
  EXPECT_TRUE(std::ranges::any_of(y, [](double value) { return std::isnan(value); }));
  EXPECT_TRUE(std::ranges::is_sorted(x));
  Values few = {1, 2};
  Values same = few;
  thin_out(few, same, 100);
  EXPECT_EQ(few, Values({1, 2}));
}

TEST(SvgPlot, BreaksALineWhereAValueIsMissing) {
  const std::string whole = svg_of({.title = "t", .curves = {{.name = "a", .x = {1, 2, 3}, .y = {1, 2, 3}}}});
  const std::string gap = svg_of({.title = "t", .curves = {{.name = "a", .x = {1, 2, 3, 4}, .y = {1, kNone, 3, 4}}}});
  const auto moves = [](const std::string& svg) { return count_of(svg.substr(svg.find("<path")), "M"); };
  EXPECT_EQ(moves(whole), 1U);
  EXPECT_EQ(moves(gap), 2U);
}

TEST(SvgPlot, StaysWithinItsFrameWhateverTheNumbersAre) {
  for (const bool is_log : {false, true}) {
    const std::string svg =
        svg_of({.title = "<script>alert(1)</script>",
                .y = {.label = "a & b", .is_log = is_log},
                .curves = {{.name = "a", .x = {0, 1, 2, 3, 4}, .y = {-1e300, 1e300, kNone, 0, 1e-300}},
                           {.name = "\"b\"", .x = {0, 1}, .y = {1, 1}}}});
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
    EXPECT_NE(svg.find("a &amp; b"), std::string::npos);
    EXPECT_EQ(count_of(svg, "<svg "), 1U);
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
  }
}

TEST(SvgPlot, SaysWhenThereIsNothingToShow) {
  EXPECT_NE(svg_of({.title = "t", .curves = {{.name = "a", .x = {1}, .y = {kNone}}}}).find("nothing to show yet"),
            std::string::npos);
  EXPECT_EQ(svg_of({.title = "t", .curves = {{.name = "a", .x = {1}, .y = {2}}}}).find("nothing to show"),
            std::string::npos);
}

TEST(SvgPlot, HasALegendOnlyForSeveralCurves) {
  const Curve raw = {.name = "loss", .x = {1, 2}, .y = {2, 1}, .is_faint = true};
  const Curve smooth = {.name = "loss", .x = {1, 2}, .y = {2, 1}};
  const Curve held_out = {.name = "held out", .x = {1, 2}, .y = {2, 1}};
  EXPECT_EQ(count_of(svg_of({.title = "t", .curves = {raw, smooth}}), "<rect"), 0U);
  EXPECT_EQ(count_of(svg_of({.title = "t", .curves = {raw, smooth, held_out}}), "<rect"), 2U);
}

TEST(SvgPlot, DrawsMarkersWithTheirIntervals) {
  const std::string svg =
      svg_of({.title = "t",
              .x = {.label = "FLOPs", .is_log = true},
              .markers = {{.name = "BERT", .x = 1e20, .y = 80.9},
                          {.name = "ours", .x = 1e18, .y = 70, .low = 69, .high = 71, .is_ours = true}}});
  EXPECT_EQ(count_of(svg, "<circle"), 2U);
  EXPECT_EQ(count_of(svg, "stroke-width=\"1.5\""), 1U);
  EXPECT_NE(svg.find(">ours<"), std::string::npos);
}

}  // namespace
}  // namespace bertcram::monitor
