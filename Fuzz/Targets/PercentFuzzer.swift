@testable import AsyncRedisLock

/// Percent escapes: decoding reverses escaping, once, and never makes a text longer.
enum PercentFuzzer {
  static func run(_ input: inout FuzzInput) {
    let bytes = input.rest
    do throws(LockError) {
      let text = try bytes.percentDecoded(as: "text")
      verify(text.utf8.count <= bytes.count, "a text of \(bytes.count) bytes grows")
      verify(
        bytes.contains(UInt8(ascii: "%")) || text.utf8.elementsEqual(bytes),
        "\(text) changes without an escape")
      let again = try ArraySlice(escaped(text.utf8).utf8).percentDecoded(as: "text")
      verify(again.utf8.elementsEqual(text.utf8), "\(text) comes back as \(again)")
    } catch {
      verify(error.code == .invalidURL && !error.message.isEmpty, "\(error)")
      let hasEscape = bytes.contains(UInt8(ascii: "%"))
      verify(hasEscape || String(validating: bytes, as: UTF8.self) == nil, "\(error)")
    }
    digits(bytes)
  }

  private static func digits(_ bytes: ArraySlice<UInt8>) {
    guard let number = Int(digits: bytes) else { return }
    verify(number >= 0, "\(number) of digits alone")
    let significant = bytes.drop { $0 == UInt8(ascii: "0") }
    verify(
      number == .max || String(number) == String(decoding: significant, as: UTF8.self)
        || number == 0 && significant.isEmpty, "\(number)")
  }

  /// Escapes every byte, alternating upper and lower case.
  static func escaped(_ bytes: some Collection<UInt8>) -> String {
    bytes.enumerated().map { index, byte in
      let digits = String(byte, radix: 16, uppercase: index.isMultiple(of: 2))
      return byte < 16 ? "%0\(digits)" : "%\(digits)"
    }.joined()
  }
}
