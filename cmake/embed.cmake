# tapeline_embed(ROOM NAME FOLDER): the files of FOLDER become part of ROOM's library, as
# `const std::vector<EmbeddedFile>& NAME()` of namespace tapeline (base/embedded_file.h).
# Paths are relative to FOLDER.

function(tapeline_embed room name folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*)
  list(FILTER files EXCLUDE REGEX "(^|/)(target|logs|__pycache__)/|\\.user\\.yml$|\\.duckdb")
  set(assembly ".section .rodata\n")
  set(declarations "")
  set(entries "")
  set(depends "")
  set(number 0)
  foreach(file ${files})
    string(APPEND assembly
      ".global ${name}_${number}_begin\n.global ${name}_${number}_end\n.balign 16\n"
      "${name}_${number}_begin:\n.incbin \"${folder}/${file}\"\n${name}_${number}_end:\n.byte 0\n")
    string(APPEND declarations
      "extern \"C\" const char ${name}_${number}_begin[];\nextern \"C\" const char ${name}_${number}_end[];\n")
    string(APPEND entries
      "      {\"${file}\", {${name}_${number}_begin, static_cast<std::size_t>(${name}_${number}_end - ${name}_${number}_begin)}},\n")
    list(APPEND depends ${folder}/${file})
    math(EXPR number "${number} + 1")
  endforeach()
  string(APPEND assembly ".section .note.GNU-stack,\"\",@progbits\n")
  set(out ${CMAKE_BINARY_DIR}/generated/embedded)
  file(CONFIGURE OUTPUT ${out}/${name}.S CONTENT "${assembly}" @ONLY)
  file(CONFIGURE OUTPUT ${out}/${name}.cc CONTENT
"#include \"base/embedded_file.h\"
${declarations}
namespace tapeline {
const std::vector<EmbeddedFile>& ${name}() {
  static const std::vector<EmbeddedFile> files = {
${entries}  };
  return files;
}
}  // namespace tapeline
" @ONLY)
  target_sources(tapeline_${room} PRIVATE ${out}/${name}.S ${out}/${name}.cc)
  set_source_files_properties(${out}/${name}.S PROPERTIES OBJECT_DEPENDS "${depends}")
endfunction()
