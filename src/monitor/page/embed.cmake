# Writes a source file that holds the page's files as text: cmake -DOUTPUT=FILE -DFILES=a;b -P embed.cmake
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
set(entries "")
foreach(file IN LISTS FILES)
  file(READ "${file}" content)
  get_filename_component(name "${file}" NAME)
  get_filename_component(suffix "${file}" LAST_EXT)
  string(SUBSTRING "${suffix}" 1 -1 suffix)
  string(APPEND entries "    {\"/${name}\", \"${type_${suffix}}\", R\"-page-(${content})-page-\"},\n")
endforeach()
list(LENGTH FILES count)
file(WRITE "${OUTPUT}" "// Made by page/embed.cmake from the files beside it.
#include \"monitor/page_files.h\"

#include <array>

namespace bertcram::monitor {
namespace {

constexpr std::array<PageFile, ${count}> kFiles = {{
${entries}}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace bertcram::monitor
")
