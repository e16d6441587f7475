#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

extension String {
  /// Whether two strings have the same bytes, as the server compares; strings that are equal in Swift may differ.
  func hasSameBytes(as other: String) -> Bool {
    let isSame = unsafe utf8.withContiguousStorageIfAvailable { bytes in
      unsafe other.utf8.withContiguousStorageIfAvailable { others in
        guard let start = bytes.baseAddress, let otherStart = others.baseAddress,
          bytes.count == others.count
        else { return bytes.count == others.count }
        return unsafe memcmp(start, otherStart, bytes.count) == 0
      }
    }
    // Only strings from Objective-C are not in one piece.
    return (isSame ?? nil) ?? utf8.elementsEqual(other.utf8)
  }
}
