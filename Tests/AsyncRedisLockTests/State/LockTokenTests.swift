import Testing

@testable import AsyncRedisLock

@Suite("A token", .timeLimit(.minutes(2)))
struct LockTokenTests {
  @Test("A token tells its locker, and is never the same")
  func roundTrip() throws {
    let tokens = TokenSource(label: "nightly: Größe")
    let values = (0..<1000).map { _ in tokens.next() }
    #expect(Set(values).count == values.count)
    let token = try #require(LockToken(parsing: values[41]))
    #expect(token.label == "nightly: Größe")
    #expect(token.sequence == 42)
    #expect(token.notifiesWaiters)
    #expect(token.lockerID == tokens.lockerID)
    #expect(!token.host.isEmpty && token.processID > 0)
    #expect(values[41].utf8.allSatisfy { (0x21...0x7E).contains($0) })
    let holder = LockHolder(value: values[41])
    #expect(holder.label == "nightly: Größe")
    #expect(holder.lockerID == token.lockerID)
    #expect(holder.description.hasPrefix("nightly: Größe on "))
  }

  @Test("A token tells whether its holder wakes waiters")
  func mark() {
    let tokens = TokenSource(label: nil)
    let notifying = tokens.next()
    #expect(notifying.hasPrefix("rl1n:"))
    #expect(LockToken(parsing: notifying)?.notifiesWaiters == true)
    tokens.noteNotifying(false)
    let silent = tokens.next()
    #expect(silent.hasPrefix("rl1s:"))
    #expect(LockToken(parsing: silent)?.notifiesWaiters == false)
    tokens.noteNotifying(true)
    #expect(tokens.next().hasPrefix("rl1n:"))
  }

  @Test("A token of the longest host and label fits")
  func longest() {
    let prefix = LockToken.prefix(
      notifiesWaiters: true, host: String(repeating: "é", count: 200), processID: .max,
      label: String(repeating: "é", count: 32), lockerID: .max)
    #expect(prefix.utf8.count + 20 + 1 + 16 <= LockToken.maximumLength)
  }

  @Test(
    "A value of another library is not mistaken for a token of this one",
    arguments: [
      "", ":", "v", "8b5b4a4e-4f5d-4c1e-9a7e-1f0c5b6f0f3a", "rl1s", "rl1s:::::::",
      "rl2s:h:1::0000000000000000:1:0000000000000000",
      "rl1s::1::0000000000000000:1:0000000000000000",
      "rl1s:h:x::0000000000000000:1:0000000000000000",
      "rl1s:h:1::000000000000000:1:0000000000000000",
      "rl1s:h:1::000000000000000G:1:0000000000000000",
      "rl1s:h:1::0000000000000000:-1:0000000000000000",
      "rl1s:h:1:%:0000000000000000:1:0000000000000000",
      "rl1s:h:1:%F:0000000000000000:1:0000000000000000",
      "rl1s:h:1:%FF:0000000000000000:1:0000000000000000",
      "rl1s:h:1:é:0000000000000000:1:0000000000000000",
      "rl1s:h:1::0000000000000000:1:0000000000000000:",
    ])
  func foreign(value: String) {
    #expect(LockToken(parsing: value) == nil)
    #expect(LockHolder(value: value).host == nil)
    #expect(LockHolder(value: value).value == value)
  }
}
