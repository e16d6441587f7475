extension String {
  /// The same for bytes in memory, which are nearly always ASCII: that is found out fast.
  init(escapingInvalid bytes: UnsafeRawBufferPointer) {
    guard unsafe bytes.allSatisfy({ $0 < 0x80 }) else {
      unsafe self.init(escapingInvalid: Array(bytes))
      return
    }
    self = unsafe String(unsafeUninitializedCapacity: bytes.count) { buffer in
      unsafe buffer.initialize(fromContentsOf: bytes)
    }
  }

  /// Creates a text in which bytes that are not UTF-8 become escapes, such as `\xe9`.
  init(escapingInvalid bytes: some Collection<UInt8>) {
    if let text = String(validating: bytes, as: UTF8.self) {
      self = text
      return
    }
    var text = ""
    var rest = bytes[...]
    while let first = rest.first {
      let character = (1...4).lazy
        .compactMap { String(validating: rest.prefix($0), as: UTF8.self) }.first
      text +=
        character ?? "\\x" + String(first >> 4, radix: 16) + String(first & 15, radix: 16)
      rest = rest.dropFirst(character?.utf8.count ?? 1)
    }
    self = text
  }
}
