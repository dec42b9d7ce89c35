// SPDX-License-Identifier: Apache-2.0
//
// Builds the automaton: the subset construction, a node for each set of places that a path may be
// at in all globs at once.
#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "policy/automaton.h"
#include "policy/glob.h"

namespace ebbfs {
namespace {

using Edge = Automaton::Edge;
using Job = Automaton::Job;

// One component of one glob. The places of a glob follow each other.
struct Place {
  GlobComponent component;
  std::uint16_t class_index;
  bool is_last;
};

// How a path came through the {job} of a glob.
enum class Capture : std::uint8_t {
  none,   // it has not, or the job is settled
  owned,  // what it captured is the path's job
  lost,   // it captured something else
  fresh,  // with the name being stepped: one of the two above, to be settled
};

// A path at a place of one glob, or at kMatched + class index when it has matched the whole glob.
struct Thread {
  std::size_t place;
  Capture capture;

  auto operator<=>(const Thread&) const = default;
};
constexpr std::size_t kMatched = std::size_t{1} << 32;

using Threads = std::vector<Thread>;

// What identifies a node.
struct Key {
  Threads threads;         // sorted, no place twice
  bool job_fixed = false;  // the path is in a unit whose glob captured the job: it stays

  auto operator<=>(const Key&) const = default;
};

bool any(const Threads& threads, Capture capture) {
  return std::ranges::find(threads, capture, &Thread::capture) != threads.end();
}

void replace(Threads& threads, Capture from, Capture to) {
  for (Thread& thread : threads) {
    if (thread.capture == from) thread.capture = to;
  }
}

void append(Threads& to, const Threads& more) { to.insert(to.end(), more.begin(), more.end()); }

}  // namespace

class AutomatonBuilder {
 public:
  explicit AutomatonBuilder(const Policy& policy) : policy_(policy) {
    static_cast<void>(number({}));  // kDead is the node of no threads
    Threads start;
    for (std::size_t i = 0; i < policy.classes.size(); ++i) {
      for (const std::string& text : policy.classes[i].match) {
        const auto glob = compile_glob(text, policy.classes[i].kind);
        if (!glob || glob->in_git) continue;
        add_places(start, glob->components, static_cast<std::uint16_t>(i));
      }
    }
    made_.root_ = number({normalize(std::move(start)), false});
  }

  // False when the limits are passed.
  [[nodiscard]] bool run() {
    for (std::uint32_t node = 1; node < keys_.size(); ++node) {
      if (!expand(node) || keys_.size() > Automaton::kNodesMax || edges_ > Automaton::kEdgesMax) {
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] Automaton take() && { return std::move(made_); }

 private:
  // Where the threads of a node can go, by what has to match.
  struct Ways {
    Threads always;
    std::map<std::string, Threads> by_literal;
    std::map<std::string, Threads> by_wildcard;
  };

  void add_places(Threads& start, const std::vector<GlobComponent>& components,
                  std::uint16_t class_index) {
    const std::size_t first = places_.size();
    for (const GlobComponent& component : components) {
      places_.push_back({component, class_index, &component == &components.back()});
    }
    arrive(start, {first, Capture::none});
  }

  // At a ** the path is also behind it: it may stand for no name at all.
  void arrive(Threads& threads, Thread thread) const {
    threads.push_back(thread);
    if (thread.place >= kMatched) return;
    if (places_[thread.place].component.kind == GlobComponent::Kind::any_depth) {
      arrive(threads, {thread.place + 1, thread.capture});
    }
  }

  [[nodiscard]] Ways ways(const Threads& threads) const {
    Ways ways;
    for (const Thread& thread : threads) {
      const Place& place = places_[thread.place];
      const std::size_t next = place.is_last ? kMatched + place.class_index : thread.place + 1;
      const NamePattern& pattern = place.component.pattern;
      switch (place.component.kind) {
        case GlobComponent::Kind::any_depth:
          arrive(ways.always, thread);
          break;
        case GlobComponent::Kind::job:
          arrive(ways.always, {next, Capture::fresh});
          break;
        case GlobComponent::Kind::name:
          if (pattern.matches_all()) {
            arrive(ways.always, {next, thread.capture});
          } else {
            arrive((pattern.is_literal() ? ways.by_literal : ways.by_wildcard)[pattern.text()],
                   {next, thread.capture});
          }
          break;
      }
    }
    return ways;
  }

  // False when more tests can pass at once than there are masks for.
  [[nodiscard]] bool expand(std::uint32_t node) {
    const Key key = keys_[node];  // keys_ grows below
    const Ways from = ways(key.threads);
    Automaton::Node made;

    // Patterns that lead to the same places are one test.
    std::map<Threads, PatternTest> tests;
    for (const auto& [text, threads] : from.by_wildcard) {
      tests[normalize(threads)].emplace_back(text);
    }
    std::vector<const Threads*> led_to;
    for (const auto& [threads, test] : tests) {
      led_to.push_back(&threads);
      made.tests.push_back(test);
    }
    const std::vector<std::uint64_t> masks = sets_.possible(made.tests);
    if (masks.empty()) return false;

    const auto edge_for = [&](Threads reached, std::uint64_t mask) {
      append(reached, from.always);
      for (std::size_t i = 0; i < led_to.size(); ++i) {
        if ((mask >> i & 1) != 0) append(reached, *led_to[i]);
      }
      return edge_to(std::move(reached), key.job_fixed);
    };
    for (const auto& [text, threads] : from.by_literal) {
      made.literals.emplace_back(text, edge_for(threads, made.passed(text)));
    }
    std::ranges::sort(made.literals, {}, [](const auto& entry) {
      return std::pair(entry.first.size(), std::string_view(entry.first));
    });
    for (const std::uint64_t mask : masks) made.by_passed.emplace_back(mask, edge_for({}, mask));
    made.inside = edge_inside(key);

    edges_ += made.literals.size() + made.by_passed.size();
    made_.nodes_[node] = std::move(made);
    return true;
  }

  // What becomes of the job when a name leads to `threads`, whose captures it settles; and whether
  // it is fixed. Of a unit and a lock that are the same thing, the unit's glob decides.
  [[nodiscard]] std::pair<Job, bool> settle_job(Threads& threads) const {
    const Job job = any(threads, Capture::owned)   ? Job::keep
                    : any(threads, Capture::fresh) ? Job::capture
                                                   : Job::drop;
    replace(threads, Capture::fresh, job == Job::capture ? Capture::owned : Capture::lost);
    const auto matched = [&](ClassKind kind, Capture capture) {
      return std::ranges::any_of(threads, [&](const Thread& thread) {
        return thread.place >= kMatched && thread.capture == capture &&
               policy_.classes[thread.place - kMatched].kind == kind;
      });
    };
    if (matched(ClassKind::tree, Capture::owned)) return {job, true};
    const bool tree_lost = matched(ClassKind::tree, Capture::lost);
    if (!tree_lost && matched(ClassKind::lock, Capture::owned)) return {job, false};
    if (!tree_lost && !matched(ClassKind::lock, Capture::lost)) return {job, false};
    replace(threads, Capture::owned, Capture::lost);
    return {Job::drop, false};
  }

  [[nodiscard]] Edge edge_to(Threads reached, bool job_fixed) {
    Edge edge;
    if (job_fixed) {
      edge.job = Job::keep;
    } else {
      std::tie(edge.job, job_fixed) = settle_job(reached);
    }
    Key key{.threads = {}, .job_fixed = job_fixed};
    for (const Thread& thread : reached) {
      if (thread.place < kMatched) {
        key.threads.push_back({thread.place, job_fixed ? Capture::none : thread.capture});
      } else {
        add_class(edge, static_cast<std::uint16_t>(thread.place - kMatched));
      }
    }
    key.threads = normalize(std::move(key.threads));
    edge.node = number(std::move(key));
    return edge;
  }

  // Of a policy that was checked, at most one class of a kind matches; else the first one counts.
  void add_class(Edge& edge, std::uint16_t index) const {
    std::uint16_t& slot = is_tree(index) ? edge.tree_class : edge.lock_class;
    slot = std::min(slot, index);
  }

  [[nodiscard]] bool is_tree(std::uint16_t class_index) const {
    return policy_.classes[class_index].kind == ClassKind::tree;
  }

  [[nodiscard]] Edge edge_inside(const Key& key) {
    Key inside{.threads = {}, .job_fixed = key.job_fixed};
    std::ranges::copy_if(
        key.threads, std::back_inserter(inside.threads),
        [&](const Thread& thread) { return !is_tree(places_[thread.place].class_index); });
    const bool keeps = inside.job_fixed || any(inside.threads, Capture::owned);
    return {.node = number(std::move(inside)), .job = keeps ? Job::keep : Job::drop};
  }

  // Sorted, each place once; where it was reached twice, an owned capture goes before a lost one.
  [[nodiscard]] static Threads normalize(Threads threads) {
    std::ranges::sort(threads);
    const auto same_place = std::ranges::unique(threads, {}, &Thread::place);
    threads.erase(same_place.begin(), same_place.end());
    return threads;
  }

  [[nodiscard]] std::uint32_t number(Key key) {
    if (key.threads.empty()) key.job_fixed = false;
    const auto [entry, is_new] =
        numbers_.try_emplace(std::move(key), static_cast<std::uint32_t>(keys_.size()));
    if (is_new) {
      keys_.push_back(entry->first);
      made_.nodes_.emplace_back();
    }
    return entry->second;
  }

  const Policy& policy_;
  std::vector<Place> places_;
  std::map<Key, std::uint32_t> numbers_;
  std::vector<Key> keys_;  // by number
  PatternSets sets_;
  std::size_t edges_ = 0;
  Automaton made_;
};

std::expected<Automaton, std::string> Automaton::build(const Policy& policy) {
  constexpr std::string_view kTooComplex =
      "the globs of all classes together are too complex; use fewer ** and wildcards";
  if (policy.classes.size() >= kNoClass) return std::unexpected("there are too many classes");
  AutomatonBuilder builder(policy);
  if (!builder.run()) return std::unexpected(std::string(kTooComplex));
  return std::move(builder).take();
}

}  // namespace ebbfs
