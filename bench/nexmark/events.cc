#include "bench/nexmark/events.h"

#include "absl/strings/str_cat.h"

namespace headway::bench::nexmark {

namespace {

constexpr const char* kFirst[kFirstNames] = {"Anna",  "Boris", "Clara", "David", "Emma", "Felix",
                                             "Greta", "Henry", "Ida",   "Jonas", "Karla"};
constexpr const char* kLast[kLastNames] = {"Adams", "Baker", "Cole", "Dunn", "Ellis",
                                           "Ford",  "Gray",  "Hall", "Irwin"};
constexpr const char* kCity[kCities] = {"Tucson", "Fresno",   "Oakland", "Nampa",  "Boise",
                                        "Salem",  "Portland", "Seattle", "Tacoma", "Casper"};
constexpr const char* kState[kStates] = {"AZ", "CA", "ID", "OR", "WA", "WY"};

}  // namespace

std::string NameOf(uint8_t first_name, uint8_t last_name) {
  return absl::StrCat(kFirst[first_name], " ", kLast[last_name]);
}
std::string CityOf(const Person& person) { return kCity[person.city]; }
std::string StateOf(const Person& person) { return kState[person.state]; }

}  // namespace headway::bench::nexmark
