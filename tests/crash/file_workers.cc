// SPDX-License-Identifier: Apache-2.0
//
// Workers on contents (as fsx does) and on names.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>

#include "fs/unique_fd.h"
#include "tests/crash/workload.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

constexpr std::size_t kFileMax = 96 * 1024;

std::size_t below(std::mt19937& random, std::size_t bound) { return random() % bound; }

// Contents of a few files of one unit.
class FileWorker final : public Worker {
 public:
  FileWorker(const std::string& root, const std::string& name) : unit_(root + "/units/" + name) {
    (void)::mkdir(unit_.c_str(), 0755);
    for (std::size_t i = 0; i < contents_.size(); ++i) put(path(i), "");
  }

  bool step(std::mt19937& random) override {
    const std::size_t file = below(random, contents_.size());
    const UniqueFd fd(::open(path(file).c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) return false;
    const auto offset = below(random, kFileMax / 2);
    const auto length = 1 + below(random, kFileMax / 2);
    std::string after = contents_[file];
    const auto grow = [&](std::size_t size) { after.resize(std::max(after.size(), size), '\0'); };
    std::function<bool()> act;
    const std::string data = pattern(length, static_cast<unsigned>(random()));
    switch (below(random, 5)) {
      case 0:
        after.resize(offset, '\0');
        act = [&] { return ::ftruncate(fd.get(), static_cast<off_t>(offset)) == 0; };
        break;
      case 1:
        grow(offset + length);
        act = [&] {
          return ::fallocate(fd.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(length)) ==
                 0;
        };
        break;
      default:
        grow(offset + length);
        after.replace(offset, length, data);
        act = [&] {
          return ::pwrite(fd.get(), data.data(), length, static_cast<off_t>(offset)) ==
                 static_cast<ssize_t>(length);
        };
    }
    pending_ = file;
    after_ = after;
    if (!act()) return false;
    contents_[file] = std::move(after);
    pending_.reset();
    return true;
  }

  std::string verify() override {
    for (std::size_t file = 0; file < contents_.size(); ++file) {
      const std::string is = get(path(file));
      const bool touched = pending_ == file;
      if (is != contents_[file] && !(touched && is_between(contents_[file], after_, is))) {
        return fmt::format(
            "{}: {} bytes that are neither what was written ({}) nor what was in "
            "flight",
            path(file), is.size(), contents_[file].size());
      }
      contents_[file] = is;
    }
    pending_.reset();
    return {};
  }

 private:
  // A write is no transaction: the kernel hands it over in pieces, and each may have landed.
  static bool is_between(const std::string& before, const std::string& after,
                         const std::string& is) {
    const auto [least, most] = std::minmax({before.size(), after.size()});
    if (is.size() < least || is.size() > most) return false;
    for (std::size_t i = 0; i < is.size(); ++i) {
      const char was = i < before.size() ? before[i] : '\0';
      const char becomes = i < after.size() ? after[i] : '\0';
      if (is[i] != was && is[i] != becomes) return false;
    }
    return true;
  }
  [[nodiscard]] std::string path(std::size_t file) const {
    return unit_ + "/file" + std::to_string(file);
  }

  const std::string unit_;
  std::array<std::string, 4> contents_;
  std::optional<std::size_t> pending_;
  std::string after_;
};

// Names in two units, one of another class, and outside; whole units move, too.
class NamesWorker final : public Worker {
 public:
  NamesWorker(std::string root, std::string name) : root_(std::move(root)), name_(std::move(name)) {
    for (const std::string& top : tops()) {
      (void)::mkdir((root_ + "/" + top).c_str(), 0755);
      tree_[top] = kDirectory;
    }
  }

  bool step(std::mt19937& random) override {
    after_ = tree_;
    const std::string one = pick(random);
    const std::string other = pick(random);
    const auto act = choose(random, one, other);
    if (act()) {
      tree_ = after_;
      return true;
    }
    // Refused: nothing has changed, unless it was death that refused.
    if (is_dead(errno)) return false;
    after_ = tree_;
    return true;
  }

  std::string verify() override {
    std::map<std::string, std::string> is;
    for (const char* top : {"units", "other", "plain"}) look(top, is);
    if (is != tree_ && is != after_) {
      return fmt::format("names of {} are neither as acknowledged nor as in flight:\n{}", name_,
                         difference(is));
    }
    tree_ = is;
    after_ = tree_;
    return {};
  }

 private:
  using Tree = std::map<std::string, std::string>;
  static constexpr const char* kDirectory = "/";

  [[nodiscard]] std::vector<std::string> tops() const {
    return {"units/" + name_ + "-a", "units/" + name_ + "-b", "other/" + name_ + "-c",
            "plain/" + name_ + "-d"};
  }
  std::string pick(std::mt19937& random) {
    const auto all = tops();
    std::string top = all[below(random, all.size())];
    const std::size_t depth = below(random, 12);
    if (depth == 0) return top;
    if (depth < 4) return top + "/d" + std::to_string(below(random, 2));
    if (depth < 8) return top + "/f" + std::to_string(below(random, 4));
    return top + "/d" + std::to_string(below(random, 2)) + "/f" + std::to_string(below(random, 3));
  }

  std::function<bool()> choose(std::mt19937& random, const std::string& one,
                               const std::string& other) {
    const std::string path = root_ + "/" + one;
    const std::string to = root_ + "/" + other;
    switch (below(random, 8)) {
      case 0:
        after_[one] = kDirectory;
        return [path] { return ::mkdir(path.c_str(), 0755) == 0; };
      case 1:
        after_[one] = "->x";
        return [path] { return ::symlink("x", path.c_str()) == 0; };
      case 2:
        after_.erase(one);
        return [path] { return ::remove(path.c_str()) == 0; };
      case 3:
      case 4:
      case 5:
        move(one, other);
        return [path, to] { return ::rename(path.c_str(), to.c_str()) == 0; };
      default:
        after_[one] = "";
        return [path] {
          return UniqueFd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644))
              .valid();
        };
    }
  }

  void move(const std::string& one, const std::string& other) {
    if (one == other) return;
    Tree moved;
    std::erase_if(after_, [&](const auto& entry) {
      const auto& [path, what] = entry;
      if (path != one && !path.starts_with(one + "/")) return false;
      moved[other + path.substr(one.size())] = what;
      return true;
    });
    for (auto& [path, what] : moved) after_[path] = what;
  }

  void look(const std::string& directory, Tree& into) const {
    for (const std::string& entry : names_in(root_ + "/" + directory)) {
      const std::string path = directory + "/" + entry;
      const bool is_top = directory.find('/') == std::string::npos;
      if (is_top && !entry.starts_with(name_ + "-")) continue;
      const struct stat status = status_of(root_ + "/" + path);
      into[path] = S_ISDIR(status.st_mode) ? kDirectory : S_ISLNK(status.st_mode) ? "->x" : "";
      if (S_ISDIR(status.st_mode)) look(path, into);
    }
  }

  [[nodiscard]] std::string difference(const Tree& is) const {
    std::string text;
    for (const auto& [path, what] : is) {
      if (!tree_.contains(path) || tree_.at(path) != what) text += "  there: " + path + what + "\n";
    }
    for (const auto& [path, what] : tree_) {
      if (!is.contains(path)) text += "  missing: " + path + what + "\n";
    }
    return text;
  }

  const std::string root_;
  const std::string name_;
  Tree tree_;
  Tree after_;
};

}  // namespace

bool is_dead(int error) {
  return error == ENOTCONN || error == ECONNABORTED || error == ECANCELED || error == EIO ||
         error == EINTR || error == ESTALE;
}

std::unique_ptr<Worker> file_worker(const std::string& root, const std::string& name) {
  return std::make_unique<FileWorker>(root, name);
}
std::unique_ptr<Worker> names_worker(const std::string& root, const std::string& name) {
  return std::make_unique<NamesWorker>(root, name);
}

}  // namespace ebbfs::test
