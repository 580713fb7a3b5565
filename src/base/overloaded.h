// One callable out of several, for std::visit.
#pragma once

namespace sutra {

template <class... Callables>
struct Overloaded : Callables... {
  using Callables::operator()...;
};

}  // namespace sutra
