/// Commands encoded in RESP2, in memory that grows as needed.
///
/// Not an array, which checks for each byte that nothing else refers to it and that there is room.
@safe struct CommandBuffer: ~Copyable {
  private var memory: UnsafeMutableRawBufferPointer
  /// How many bytes are encoded.
  private(set) var count = 0

  /// The digests of the scripts whose source is in here; nil if each command has to bring the source.
  private var sources: Set<String>?

  /// Enough for a few commands.
  private static let smallestCapacity = 1024
  /// More than the mark, the digits and the line end of a number.
  private static let longestNumber = 24

  /// Creates a buffer.
  ///
  /// `sharesSources` tells that the server executes all of it, so that the first command with a
  /// script's source brings that for the others.
  init(sharesSources: Bool = false) {
    unsafe memory = .allocate(byteCount: Self.smallestCapacity, alignment: 1)
    sources = sharesSources ? [] : nil
  }

  deinit { unsafe memory.deallocate() }

  /// How many bytes fit before the memory has to grow.
  var capacity: Int { unsafe memory.count }

  /// The encoded bytes from a position on.
  func withBytes<Result, Failure: Error>(
    from start: Int, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(UnsafeRawBufferPointer(rebasing: memory[start..<count]))
  }

  /// Removes everything, and frees memory beyond a capacity.
  mutating func removeAll(keepingCapacity largest: Int) {
    count = 0
    guard unsafe memory.count > largest else { return }
    unsafe memory.deallocate()
    unsafe memory = .allocate(byteCount: Self.smallestCapacity, alignment: 1)
  }

  /// Removes what was encoded behind a position.
  mutating func remove(from position: Int) { count = position }

  /// Whether a command that is to be sent with its script's source has to bring it.
  mutating func needsSource(of digest: String) -> Bool { sources?.insert(digest).inserted ?? true }

  // MARK: Encoding

  /// Begins a command; its words have to follow, including the name.
  mutating func beginCommand(words: Int) { append(UInt8(ascii: "*"), words) }

  @inline(__always) mutating func append(_ word: String) {
    beginWord(length: word.utf8.count)
    append(partOfWord: word)
    endWord()
  }

  /// Appends a number as a word.
  mutating func append(_ number: Int64) {
    beginWord(length: Self.digitCount(of: number.magnitude) + (number < 0 ? 1 : 0))
    if number < 0 { append(encoded: "-") }
    reserve(Self.longestNumber)
    appendDigits(of: number.magnitude)
    appendLineEnd()
  }

  /// Begins a word of so many bytes, which follow in parts.
  mutating func beginWord(length: Int) { append(UInt8(ascii: "$"), length) }

  @inline(__always) mutating func append(partOfWord part: String) {
    let isAppended: Void? = unsafe part.utf8.withContiguousStorageIfAvailable { bytes in
      unsafe append(UnsafeRawBufferPointer(bytes))
    }
    guard isAppended == nil else { return }
    // Only strings from Objective-C are not in one piece.
    unsafe Array(part.utf8).withUnsafeBytes { bytes in unsafe append(bytes) }
  }

  mutating func endWord() {
    reserve(Self.longestNumber)
    appendLineEnd()
  }

  /// Appends bytes that are encoded already.
  mutating func append(encoded bytes: StaticString) {
    unsafe append(UnsafeRawBufferPointer(start: bytes.utf8Start, count: bytes.utf8CodeUnitCount))
  }

  /// Encodes a command; one that runs a script gets the number of the request.
  mutating func append(_ command: Command, question: UInt32) {
    beginCommand(words: command.arguments.count + (command.isScript ? 1 : 0))
    for argument in command.arguments { append(argument) }
    if command.isScript { append(Int64(question)) }
  }

  /// Appends all commands of another buffer.
  mutating func append(_ other: borrowing CommandBuffer) {
    unsafe other.withBytes(from: 0) { bytes in unsafe append(bytes) }
  }

  /// Encodes the type and the size of the next element.
  private mutating func append(_ mark: UInt8, _ size: Int) {
    reserve(Self.longestNumber)
    unsafe memory[count] = mark
    count += 1
    appendDigits(of: UInt64(size))
    appendLineEnd()
  }

  private static func digitCount(of number: UInt64) -> Int {
    // Most numbers are lengths.
    if number < 100 { return number < 10 ? 1 : 2 }
    var (digits, rest) = (1, number / 10)
    while rest > 0 { (digits, rest) = (digits + 1, rest / 10) }
    return digits
  }

  /// Appends a number, for which there is room.
  private mutating func appendDigits(of number: UInt64) {
    if number < 10 {
      unsafe memory[count] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number)
      count += 1
      return
    }
    let digits = Self.digitCount(of: number)
    var rest = number
    for place in stride(from: count + digits - 1, through: count, by: -1) {
      unsafe memory[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
    count += digits
  }

  /// Appends the end of a line, for which there is room.
  private mutating func appendLineEnd() {
    unsafe memory[count] = UInt8(ascii: "\r")
    unsafe memory[count + 1] = UInt8(ascii: "\n")
    count += 2
  }

  private mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress else { return }
    reserve(bytes.count)
    // The memory is never empty.
    unsafe memory.baseAddress?.advanced(by: count).copyMemory(from: source, byteCount: bytes.count)
    count += bytes.count
  }

  /// Makes room for so many more bytes.
  @inline(__always) private mutating func reserve(_ bytes: Int) {
    if unsafe memory.count - count < bytes { grow(by: bytes) }
  }

  private mutating func grow(by bytes: Int) {
    let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(memory.count * 2, count + bytes), alignment: 1)
    unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<count]))
    unsafe memory.deallocate()
    unsafe memory = larger
  }
}
