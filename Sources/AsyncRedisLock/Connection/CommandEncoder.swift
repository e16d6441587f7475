/// An object that encodes the commands of a request itself, straight into the connection's buffer.
///
/// For the requests of the hot path: an array of strings for each command costs more than all the rest of sending it.
protocol CommandEncoder: AnyObject, Sendable {
  /// How many commands it encodes.
  var commandCount: Int { get }

  /// Whether its commands run scripts.
  var runsScript: Bool { get }

  /// Encodes the commands, each time they are sent, so that they can depend on all requests submitted before.
  ///
  /// A script is followed by `question`, the number of the request. `bySource` tells to send the source of a script
  /// in place of its digest. Returns whether there is anything to send.
  func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool
}
