// The page: files that the build put into the program, with what a browser needs to cache them.

#pragma once

#include <vector>

#include "base/embedded_file.h"
#include "io/http_message.h"

namespace tapeline::serve {

/// Answers GET of the page and its assets. "/" is index.html, never cached; a file whose name
/// carries a hash is cached for ever. `x.gz` is sent in place of `x` to who takes gzip.
io::HttpResponse page_response(const std::vector<EmbeddedFile>& files,
                               const io::HttpRequest& request);

}  // namespace tapeline::serve
