import Testing

@testable import AsyncRedisLock

@Suite("The protocol's names and messages", .timeLimit(.minutes(2)))
struct NamesAndMessagesTests {
  @Test(
    "The names of a lock's helpers are in its hash slot",
    arguments: [
      ("key", ":{key}"), ("{tag}key", "::{tag}key"), ("a{b}c", "::a{b}c"), ("{}x", ":{{}x}"),
      ("a}b", ":{a}b}"), ("a{b", ":{a{b}"), ("}{b}", "::}{b}"),
    ])
  func helpers(key: String, suffix: String) {
    #expect(
      ServerKeys(prefix: "p:").keys(of: key) == [key, "p:queue\(suffix)", "p:entries\(suffix)"])
  }

  @Test(
    "The name of a record tells its key, in a cluster and without one",
    arguments: [
      "key", "{tag}key", "a{b}c", "{}x", "a}b", "a{b", "}{b}", "x{}{y}", "}", "{", ":", "{1}:a",
    ])
  func recordNames(key: String) {
    for slot in [nil, HashSlot.slot(of: key)] {
      let name = ServerKeys(prefix: "p:", slot: slot).record(of: key)
      func found(_ prefix: String) -> String? {
        ServerKeys.key(ofRecord: name, prefix: prefix, inCluster: slot != nil)
      }
      #expect(found("p:") == key, "\(name)")
      #expect(found("q:") == nil)
    }
    for name in ["p:record:", "p:record:{}", "p:record:key", "p:queue:{key}"] {
      #expect(ServerKeys.key(ofRecord: name, prefix: "p:", inCluster: false) == nil, "\(name)")
    }
  }

  @Test("The names for several locks come with one counter")
  func several() {
    let names = ServerKeys(prefix: "p:").keysAndFence(of: ["a", "b"])
    #expect(
      names == [
        "a", "p:queue:{a}", "p:entries:{a}", "b", "p:queue:{b}", "p:entries:{b}", "p:fence",
      ])
  }

  @Test(
    "In a cluster, the names of all helpers are in the slot of their key",
    arguments: [
      ("key", ":{key}"), ("{tag}key", "::{tag}key"), ("{}x", ":{N}:{}x"), ("a}b", ":{N}:a}b"),
      ("a{b", ":{a{b"), ("}{b}", "::}{b}"), ("x{}{y}", ":{N}:x{}{y}"), ("}", ":{N}:}"),
    ])
  func slotNames(key: String, suffix: String) {
    let slot = HashSlot.slot(of: key)
    let names = ServerKeys(prefix: "p:", slot: slot)
    let tag = HashSlot.tag(of: slot)
    let end = (suffix.hasSuffix("{a{b") ? suffix + "}" : suffix).replacing("{N}", with: tag)
    let all = names.keysAndFence(of: [key])
    #expect(all == [key, "p:queue\(end)", "p:entries\(end)", "p:fence:\(tag)"])
    #expect(names.inbox(of: "1234") == "p:inbox:\(tag):1234")
    for name in all + [names.inbox(of: "1234"), names.record(of: key), names.trial(of: key)] {
      #expect(HashSlot.slot(of: name) == slot, "\(name)")
    }
    var buffer = CommandBuffer()
    names.appendQueue(of: key, to: &buffer)
    names.appendEntries(of: key, to: &buffer)
    let text = unsafe buffer.withBytes(from: 0) { unsafe String(decoding: $0, as: UTF8.self) }
    #expect(text == all[1...2].map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined())
  }

  @Test(
    "The slot of a key is the one that the cluster specification gives",
    arguments: [
      ("123456789", 0x31C3), ("foo", 12182), ("{user1000}.following", 3443), ("", 0),
      ("{user1000}.followers", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015),
      ("foo{bar}{zap}", 5061), ("bar", 5061),
    ])
  func slots(key: String, slot: Int) { #expect(HashSlot.slot(of: key) == slot) }

  @Test("Each slot of a cluster has a tag of its own that leads into it")
  func slotTags() {
    let tags = (0..<HashSlot.count).map(HashSlot.tag)
    #expect(tags.indices.allSatisfy { HashSlot.slot(of: tags[$0] + "}") == $0 })
    #expect(tags.map { Int($0.dropFirst().dropLast()) ?? -1 }.max() == 109_757)
  }

  @Test("A grant message tells its numbers and keys, whatever they contain")
  func grant() throws {
    let message = try #require(GrantMessage(parsing: "1770000000000000 16 rl1n:t 1:a5:b :\n9"))
    #expect(message.token == "rl1n:t")
    #expect(message.numbers == 1_770_000_000_000_000..<1_770_000_000_000_016)
    #expect(message.keys == ["a", "b :\n9"])
    let accents = try #require(GrantMessage(parsing: "1 1 t 2:é"))
    #expect(accents.keys == ["é"])
  }

  @Test("A grant with numbers up to 2^53 - 1 is read, and one above it is ignored")
  func largestNumber() {
    #expect(GrantMessage(parsing: "9007199254740990 2 t 1:a") != nil)
    #expect(GrantMessage(parsing: "9007199254740991 2 t 1:a") == nil)
    #expect(GrantMessage(parsing: "9007199254740992 1 t 1:a") == nil)
  }

  @Test(
    "Nonsensical grant messages are ignored",
    arguments: [
      "", "0 0 t 1:a", "0 1 t 1:a", "1 0 t 1:a", "1", "1 1", "1 1 t", "1 1 t ", "x 1 t 1:a",
      "1 x t 1:a", "-1 1 t 1:a", "1 1 t 2:a",
      "1 1 t 1:ab", "1 1 t :a", "1 1 t 0:", "1 1 t 1:é", "1 1 t 99999999999999999999:a",
      "18446744073709551615 18446744073709551615 t 1:a", "1 65536 t 1:a",
      "1 18446455161709551615 t 1:a",
    ])
  func nonsense(_ text: String) {
    #expect(GrantMessage(parsing: text) == nil)
  }
}

@Suite("The guard of fencing tokens", .timeLimit(.minutes(2)))
struct FenceGuardTests {
  @Test(
    "The fence guard accepts only growing numbers, once the counter was raised on this connection")
  func grows() {
    let fences = FenceCounter()
    #expect(!fences.accept(5), "not raised yet")
    #expect(fences.accept(6, isRaised: true))
    #expect(!fences.accept(6))
    #expect(fences.accept(7..<9))
    #expect(!fences.accept(8..<10))
    #expect(fences.largest == 8)
    fences.connectionChanged()
    #expect(!fences.accept(9))
  }

  @Test("The fence guard does not hold a grant against a smaller number whose reply is under way")
  func grants() {
    let fences = FenceCounter()
    #expect(fences.accept(1, isRaised: true))
    fences.noteGranted(100)
    #expect(fences.largest == 100)
    #expect(fences.accept(50), "drawn before the grant, and read after it")
    fences.connectionChanged()
    #expect(!fences.accept(60, isRaised: true), "another connection continues above the grant")
    #expect(fences.accept(101))
  }
}
