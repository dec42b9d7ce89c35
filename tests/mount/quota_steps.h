// SPDX-License-Identifier: Apache-2.0
//
// Random operations on a mount beside the same on a QuotaModel: each is foretold (success, or which
// errno), done, and the usage of every scope compared with the model's. Threading: one thread,
// which becomes other users for the filesystem.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fs/unique_fd.h"
#include "tests/mount/quota_model.h"

namespace ebbfs::test {

class QuotaSteps {
 public:
  // `root` holds an empty volume with kScopesPolicy.
  QuotaSteps(std::string root, unsigned seed);
  // False, with why() set, where ebbfs and the model differ.
  [[nodiscard]] bool step();
  [[nodiscard]] std::string why() const;
  // How often each outcome was seen: errno to count.
  [[nodiscard]] const std::map<int, int>& outcomes() const { return outcomes_; }
  [[nodiscard]] const QuotaModel& model() const { return model_; }

 private:
  // One operation, foretold.
  struct Plan {
    std::string text;
    std::function<int()> act;  // 0 or errno
    QuotaModel after;
    Counted victim;  // goes only after the rest came
    UnitPlace victim_place;
    Paying victim_who;
    std::vector<int> errors;    // fails with one of these, whatever the limits
    bool renames_unit = false;  // no growth but of the unit's own scope
    bool may_be_unsupported = false;
    std::string new_unit;       // starts from nothing, even where another had this path
    bool of_gone_unit = false;  // whose last limit holds for what is still open of it
    bool done = true;           // false: nothing to do
  };
  using Make = void (QuotaSteps::*)(Plan&);

  [[nodiscard]] bool carry_out(Plan& plan);
  [[nodiscard]] bool compare();
  [[nodiscard]] std::vector<int> foretell(const Plan& plan) const;
  [[nodiscard]] int refusal_of_unit_rename() const;

  std::size_t below(std::size_t limit) { return random_() % limit; }
  [[nodiscard]] std::string full(const std::string& path) const { return root_ + "/" + path; }
  std::string directory();
  std::string some(const char* kinds);  // a path of one of these kinds; "" for none
  std::string fresh();                  // a path that is not there
  std::string any();                    // either
  std::int64_t length();

  void create(Plan& plan);
  void make_other(Plan& plan);
  void write(Plan& plan);
  void truncate(Plan& plan);
  void allocate(Plan& plan);
  void copy(Plan& plan);
  void link(Plan& plan);
  void rename(Plan& plan);
  void exchange(Plan& plan);
  void remove(Plan& plan);
  void own(Plan& plan);
  void hold(Plan& plan);
  void nameless(Plan& plan);
  void write_held(Plan& plan);
  void name_held(Plan& plan);
  void release(Plan& plan);
  void expire(Plan& plan);
  void limit(Plan& plan);
  // False when it does not become empty.
  [[nodiscard]] bool empty_trash();
  int set_limit(const std::string& scope, const ModelLimit& limit, bool soft);

  const std::string root_;
  std::mt19937 random_;
  QuotaModel model_;
  Limits limits_;
  std::map<int, UniqueFd> held_;  // by model inode
  std::set<int> nameless_;        // of these, those made without a name and never linked
  std::deque<std::string> log_;
  std::string why_;
  std::map<int, int> outcomes_;
  Paying who_;
  UnitPlace rename_from_;
  UnitPlace rename_to_;
};

}  // namespace ebbfs::test
