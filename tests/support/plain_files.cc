// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plain_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <system_error>

namespace ebbfs::test {
namespace {

std::string reason() { return std::generic_category().message(errno); }

// As names_in(); nothing where it cannot be opened.
std::optional<std::vector<std::string>> names_at(const std::string& path) {
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return {};
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(directory);
  std::ranges::sort(names);
  return names;
}

}  // namespace

UniqueFd opened(const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (fd.get() < 0) ADD_FAILURE() << "open " << path << ": " << reason();
  return fd;
}

void put(const std::string& path, std::string_view content) {
  const UniqueFd fd = opened(path, O_WRONLY | O_CREAT | O_TRUNC);
  while (!content.empty()) {
    const ssize_t count = ::write(fd.get(), content.data(), content.size());
    if (count <= 0) {
      ADD_FAILURE() << "write " << path << ": " << reason();
      return;
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string get(const std::string& path) {
  const UniqueFd fd = opened(path, O_RDONLY);
  std::string content;
  std::string buffer(256 * 1024, '\0');
  ssize_t count = 0;
  while ((count = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
    content.append(buffer, 0, static_cast<std::size_t>(count));
  }
  if (count < 0) ADD_FAILURE() << "read " << path << ": " << reason();
  return content;
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24U);
  }
  return bytes;
}

bool exists(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

struct stat status_of(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) ADD_FAILURE() << "lstat " << path << ": " << reason();
  return status;
}

mode_t mode_of(const std::string& path) { return status_of(path).st_mode & 07777U; }

std::vector<std::string> names_in(const std::string& path) {
  const auto names = names_at(path);
  if (!names) ADD_FAILURE() << "opendir " << path << ": " << reason();
  return names.value_or(std::vector<std::string>());
}

void for_each_below(const std::string& root, const std::string& directory,
                    const std::function<void(const std::string&, const struct stat&)>& visit) {
  const auto names = names_at(root + "/" + directory);
  if (!names) return;
  for (const std::string& name : *names) {
    if (directory.empty() && name == ".ebbfs") continue;
    const std::string path = directory.empty() ? name : directory + "/" + name;
    struct stat status{};
    if (::lstat((root + "/" + path).c_str(), &status) != 0) continue;
    visit(path, status);
    if (S_ISDIR(status.st_mode)) for_each_below(root, path, visit);
  }
}

Identity alice() { return {.uid = kAlice, .gid = kAlice, .groups = {}}; }
Identity bob() { return {.uid = kBob, .gid = kBob, .groups = {}}; }

int as(const Identity& who, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(who.groups.size(), who.groups.data()) != 0) ::_exit(250);
    if (::setresgid(who.gid, who.gid, who.gid) != 0) ::_exit(251);
    if (::setresuid(who.uid, who.uid, who.uid) != 0) ::_exit(252);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace ebbfs::test
