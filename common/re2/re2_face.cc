#include "common/re2/re2_face.h"

#include <re2/re2.h>

#include <cstdio>
#include <memory>
#include <string>

struct slc_re2 {
    std::string pattern;
    std::unique_ptr<re2::RE2> compiled;
};

static const int64_t max_memory = 1 << 20;
static const int range_slack = 8;

static RE2::Options quiet()
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(max_memory);
    return options;
}

slc_re2 *slc_re2_new(const char *pattern, size_t len, char *reason, size_t cap)
{
    auto *re2 = new slc_re2{std::string(pattern, len), nullptr};
    re2->compiled = std::make_unique<RE2>(re2->pattern, quiet());
    if (re2->compiled->ok())
        return re2;
    std::snprintf(reason, cap, "%s", re2->compiled->error().c_str());
    delete re2;
    return nullptr;
}

void slc_re2_free(slc_re2 *re2)
{
    delete re2;
}

bool slc_re2_matches(const slc_re2 *re2, const char *text, size_t len)
{
    return RE2::FullMatch(re2::StringPiece(text, len), *re2->compiled);
}

bool slc_re2_matches_within(const slc_re2 *re2, const char *text, size_t len)
{
    return RE2::PartialMatch(re2::StringPiece(text, len), *re2->compiled);
}

static bool starts_with(const std::string &text, const std::string &prefix)
{
    return text.compare(0, prefix.size(), prefix) == 0;
}

/* Everything that matches lies between `min` and `max`, both included. What lies between two strings that begin
 * with the prefix does too. A `max` that stands for "any longer string" is cut and counted up: behind the
 * prefix, or in it; then it is the one string that is too much. */
bool slc_re2_begins_with(const slc_re2 *re2, const char *prefix)
{
    std::string min, max, wanted = prefix, next = wanted;
    RE2 anchored("^(?:" + re2->pattern + ")$", quiet());
    if (!anchored.ok() || !anchored.PossibleMatchRange(&min, &max, static_cast<int>(wanted.size()) + range_slack))
        return false;
    next.back() = static_cast<char>(next.back() + 1);
    if (!starts_with(min, wanted))
        return false;
    return starts_with(max, wanted) || (max == next && !slc_re2_matches(re2, next.data(), next.size()));
}
