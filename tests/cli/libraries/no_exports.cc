// A library that has nothing to do with Headway.
extern "C" int nothing() { return 0; }
