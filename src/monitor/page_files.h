#pragma once
// The dashboard's page, src/monitor/page/, within the executable: page/embed.cmake makes the source.

#include <span>
#include <string_view>

namespace bertcram::monitor {

struct PageFile {
  std::string_view path;  ///< as it is asked for, e.g. "/style.css"
  std::string_view type;  ///< Content-Type
  std::string_view content;
};

std::span<const PageFile> page_files();

}  // namespace bertcram::monitor
