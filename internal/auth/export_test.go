package auth

// LookAgain is for tests.
const LookAgain = lookAgain
