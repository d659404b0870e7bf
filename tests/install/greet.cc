// A program of a user of the component that the test adds to an installation.

#include <iostream>

#include "headway/greeting/greeting.h"

int main() { std::cout << greeting::Greeting() << '\n'; }
