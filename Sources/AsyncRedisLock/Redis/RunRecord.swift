/// The record that `redis-lock run` leaves on the server: which holder ran a command last, and how that ended.
///
/// No decision depends on it. All times are the server's, in milliseconds since 1970.
package struct RunRecord: Sendable, Equatable {
  /// How a run has ended.
  package struct End: Sendable, Equatable {
    package let time: Int64
    /// One word, such as `exited` or `lost`.
    package let cause: String
    /// The exit status of `redis-lock`.
    package let status: Int32
  }

  /// The token of the lock, which identifies its holder.
  package let token: String
  /// When the lock was taken.
  package let start: Int64
  package let fencingToken: UInt64?
  /// Nil while the command runs, and if its end could not be recorded.
  package let end: End?

  /// The last millisecond of the year 9999: no server's clock is later, and any client may write a record.
  private static let latest: Int64 = 253_402_300_799_999

  static let fields = ["token", "from", "fence", "until", "ended", "status"]

  /// Reads the values of the fields, in their order; nil if they are not a record.
  init?(_ replies: some Collection<Reply>) {
    let texts = replies.map { reply in
      if case .string(let text) = reply { text } else { nil as String? }
    }
    guard texts.count == Self.fields.count, let token = texts[0],
      let start = texts[1].flatMap(Self.time)
    else { return nil }
    self.token = token
    self.start = start
    fencingToken = texts[2].flatMap { UInt64($0) }
    if let time = texts[3].flatMap(Self.time), let cause = texts[4],
      let status = texts[5].flatMap({ Int32($0) })
    {
      end = End(time: time, cause: cause, status: status)
    } else {
      end = nil
    }
  }

  /// Reads a time; nil if it is none.
  static func time(_ text: String) -> Int64? {
    Int64(text).flatMap { (0...latest).contains($0) ? $0 : nil }
  }
}
