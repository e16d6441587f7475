@testable import AsyncRedisLock

/// Names on the server: helpers are in the cluster slot of their key, and never equal another key's.
enum NameFuzzer {
  static func run(_ input: inout FuzzInput) {
    let names = ServerKeys(prefix: "redis-lock:")
    let (key, other) = (input.shortText(), input.text)
    check(key, names)
    check(other, names)
    checkSlot(of: key)
    guard !key.isEmpty, !other.isEmpty, !key.utf8.elementsEqual(other.utf8) else { return }
    let mine = names.keys(of: key).dropFirst()
    let others = names.keys(of: other).dropFirst()
    for name in mine {
      verify(!others.contains { $0.utf8.elementsEqual(name.utf8) }, "\(key), \(other): \(name)")
    }
    sorted([key, other, key])
  }

  private static func check(_ key: String, _ names: ServerKeys) {
    let all = names.keys(of: key)
    verify(all.count == 3 && all[0].utf8.elementsEqual(key.utf8), "\(all)")
    for helper in all.dropFirst() {
      verify(helper.hasPrefix(names.prefix), helper)
      // A helper cannot share the slot of an empty key, or of a key with a brace but without a tag.
      let hasBrace = key.utf8.contains { "{}".utf8.contains($0) }
      guard !key.isEmpty, !hasBrace || tag(Array(key.utf8)) != Array(key.utf8) else { continue }
      verify(slot(helper) == slot(key), "\(helper) is not in the slot of \(key)")
    }
    verify(!all.contains(names.fence) || key == names.fence, "\(key) is the counter")
  }

  /// In a cluster, all helpers of any key are in its slot, and so is what is there for the slot.
  private static func checkSlot(of key: String) {
    let number = HashSlot.slot(of: key)
    verify(number == Int(slot(key)), "\(key) is not in slot \(number)")
    guard !key.isEmpty else { return }
    let names = ServerKeys(prefix: "redis-lock:", slot: number)
    let all = names.keysAndFence(of: [key]) + [names.inbox(of: "id"), names.record(of: key)]
    for name in all { verify(Int(slot(name)) == number, "\(name) is not in slot \(number)") }
    verify(Set(all).count == all.count, "two of \(all) are the same")
  }

  private static func sorted(_ keys: [String]) {
    guard let sorted = try? LockKeys(keys).names else { return }
    for (first, second) in zip(sorted, sorted.dropFirst()) {
      verify(first.utf8.lexicographicallyPrecedes(second.utf8), "\(sorted) is out of order")
    }
    let all = Set(keys.map { Array($0.utf8) })
    verify(Set(sorted.map { Array($0.utf8) }) == all, "\(sorted) is not \(keys)")
  }

  // MARK: By the cluster specification

  private static func slot(_ key: String) -> UInt16 {
    tag(Array(key.utf8)).reduce(0) { crc($0, $1) } % 16384
  }

  /// The text between the first `{` and the next `}`, unless that is empty; otherwise the whole key.
  private static func tag(_ key: [UInt8]) -> [UInt8] {
    for open in key.indices where key[open] == UInt8(ascii: "{") {
      for close in key[open...].indices where key[close] == UInt8(ascii: "}") {
        return close == open + 1 ? key : Array(key[(open + 1)..<close])
      }
      return key
    }
    return key
  }

  /// CRC-16 of XMODEM.
  private static func crc(_ sum: UInt16, _ byte: UInt8) -> UInt16 {
    (0..<8).reduce(sum ^ UInt16(byte) << 8) { sum, _ in
      sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021
    }
  }
}
