import Foundation

/// A command that is ready in memory, so that sending it costs no more than in C.
@safe final class PreparedCommand {
  private let arguments: UnsafeMutableBufferPointer<UnsafePointer<CChar>?>
  private let storage: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>
  private let lengths: UnsafeMutableBufferPointer<Int>

  init(_ words: [String]) {
    unsafe arguments = .allocate(capacity: words.count)
    unsafe storage = .allocate(capacity: words.count)
    unsafe lengths = .allocate(capacity: words.count)
    for (index, word) in words.enumerated() {
      let copy = unsafe strdup(word)
      unsafe storage.initializeElement(at: index, to: copy)
      unsafe arguments.initializeElement(at: index, to: copy.map { unsafe UnsafePointer($0) })
      unsafe lengths.initializeElement(at: index, to: word.utf8.count)
    }
  }

  convenience init(_ words: String...) { self.init(words) }

  deinit {
    for index in unsafe 0..<storage.count { unsafe free(storage[index]) }
    unsafe arguments.deallocate()
    unsafe storage.deallocate()
    unsafe lengths.deallocate()
  }

  /// Writes a number over the last 16 characters of an argument.
  func write(_ number: UInt64, into argument: Int) {
    guard let text = unsafe storage[argument] else { return }
    var rest = number
    for position in 1...16 {
      let digit = CChar(truncatingIfNeeded: rest & 15)
      unsafe text[lengths[argument] - position] = digit + (digit < 10 ? 48 : 87)
      rest >>= 4
    }
  }

  /// Calls the body with the arguments in the form that hiredis needs.
  func withArguments<Result>(
    _ body: (CInt, UnsafeMutablePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int>?) -> Result
  ) -> Result {
    unsafe body(
      CInt(arguments.count), arguments.baseAddress, lengths.baseAddress.map { unsafe .init($0) })
  }
}
