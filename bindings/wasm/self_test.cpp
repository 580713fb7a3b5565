// Of the modules that run models.
#include <emscripten.h>

#include "runtime/engine.h"
#include "shared.h"

extern "C" {

EMSCRIPTEN_KEEPALIVE const sutra::wasm::Reply* sutra_self_test() {
  return sutra::wasm::out().of(sutra::run_self_test());
}

}  // extern "C"
