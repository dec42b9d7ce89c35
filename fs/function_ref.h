// SPDX-License-Identifier: Apache-2.0
//
// A callable that is lent for the time of a call: as std::function in a parameter, but it never
// allocates. Valid while the callable lives, so it is passed on and not kept. Threading: that of
// the callable.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace ebbfs {

template <typename Signature>
class FunctionRef;

template <typename Result, typename... Arguments>
class FunctionRef<Result(Arguments...)> {
 public:
  // Implicit, so that a lambda can be written where it is needed.
  template <typename Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
             std::is_invocable_r_v<Result, Callable&, Arguments...>)
  // NOLINTNEXTLINE(google-explicit-constructor,bugprone-forwarding-reference-overload)
  FunctionRef(Callable&& callable)
      : callable_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* at, Arguments... arguments) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(at))(
              std::forward<Arguments>(arguments)...);
        }) {}

  Result operator()(Arguments... arguments) const {
    return call_(callable_, std::forward<Arguments>(arguments)...);
  }

 private:
  void* callable_;
  Result (*call_)(void*, Arguments...);
};

}  // namespace ebbfs
