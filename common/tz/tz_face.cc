#include "common/tz/tz_face.h"

#include <absl/time/time.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

static const size_t max_name = 64;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "+02:00", "-11:30", "02:00" */
static bool read_offset(const char *name, size_t len, int32_t *offset)
{
    bool sign = len > 0 && (name[0] == '+' || name[0] == '-');
    const char *at = name + (sign ? 1 : 0);
    if (len - (sign ? 1 : 0) != 5 || !is_digit(at[0]) || !is_digit(at[1]) || at[2] != ':' || !is_digit(at[3]) ||
        !is_digit(at[4]))
        return false;
    int hours = (at[0] - '0') * 10 + at[1] - '0', minutes = (at[3] - '0') * 10 + at[4] - '0';
    *offset = (hours * 60 + minutes) * (sign && name[0] == '-' ? -60 : 60);
    return hours < 24 && minutes < 60;
}

/* Nothing that leads out of the folder. */
static bool is_zone_name(const char *name, size_t len)
{
    if (len == 0 || len > max_name || name[0] == '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_digit(name[i]) && (name[i] < 'a' || name[i] > 'z') && (name[i] < 'A' || name[i] > 'Z') &&
            memchr("_+-/", name[i], 4) == nullptr)
            return false;
    return true;
}

bool slc_tz_is_name(const char *name, size_t len)
{
    int32_t offset;
    return read_offset(name, len, &offset) || is_zone_name(name, len);
}

/* The zones that were found: no more than there are files. */
static std::shared_mutex known_lock;
static std::unordered_map<std::string, absl::TimeZone> known;

/* Looked at first, since the library remembers for ever what it was asked for. */
static bool has_file(const std::string &name)
{
    const char *folder = std::getenv("TZDIR");
    struct stat info;
    std::string path = std::string(folder != nullptr ? folder : "/usr/share/zoneinfo") + "/" + name;
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

static bool find(const char *name, size_t len, absl::TimeZone *zone)
{
    if (!is_zone_name(name, len))
        return false;
    std::string text(name, len);
    {
        std::shared_lock<std::shared_mutex> lock(known_lock);
        auto found = known.find(text);
        if (found != known.end()) {
            *zone = found->second;
            return true;
        }
    }
    if ((text != "UTC" && !has_file(text)) || !absl::LoadTimeZone(text, zone))
        return false;
    std::unique_lock<std::shared_mutex> lock(known_lock);
    known.emplace(text, *zone);
    return true;
}

bool slc_tz_is_known(const char *name, size_t len)
{
    absl::TimeZone zone;
    int32_t offset;
    return read_offset(name, len, &offset) || find(name, len, &zone);
}

bool slc_tz_offset(const char *name, size_t len, int64_t seconds, int32_t *offset)
{
    absl::TimeZone zone;
    if (read_offset(name, len, offset))
        return true;
    if (!find(name, len, &zone))
        return false;
    *offset = zone.At(absl::FromUnixSeconds(seconds)).offset;
    return true;
}
