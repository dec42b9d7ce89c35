// SPDX-License-Identifier: Apache-2.0
//
// Workers for the random kills. Each keeps, in its own memory and so outside of the volume, what
// was acknowledged to it and the one request that is in flight. It works until the mount is dead;
// when there is a new one it compares: what was acknowledged must be there, what was in flight may
// be done or not, and nothing else. Threading: one thread, in a process of its own.
#pragma once

#include <memory>
#include <random>
#include <string>

namespace ebbfs::test {

class Worker {
 public:
  virtual ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // One request or a few. False when the mount is dead.
  [[nodiscard]] virtual bool step(std::mt19937& random) = 0;
  // After a crash: what is wrong, "" when all is as it must be.
  [[nodiscard]] virtual std::string verify() = 0;

 protected:
  Worker() = default;
};

// `root`: the mount. `name` tells workers apart.
[[nodiscard]] std::unique_ptr<Worker> file_worker(const std::string& root, const std::string& name);
[[nodiscard]] std::unique_ptr<Worker> names_worker(const std::string& root,
                                                   const std::string& name);
[[nodiscard]] std::unique_ptr<Worker> lock_worker(const std::string& root, const std::string& name);
[[nodiscard]] std::unique_ptr<Worker> git_worker(const std::string& root, const std::string& name);

// Whether `error` is how a dead mount answers.
[[nodiscard]] bool is_dead(int error);

}  // namespace ebbfs::test
