/// What tells one time of a server as a primary from all others, as the login of a connection has found it.
///
/// A write counts as replicated only if the server that confirms it is the one that has executed it, and has been a
/// primary ever since. A server that was a replica meanwhile has dropped what its primary did not know.
///
/// An object, because answers carry it.
final class PrimaryRun: Sendable {
  struct Identity: Sendable, Equatable {
    /// The server's process.
    let runID: String
    /// The history of its data; another one after each time as a replica.
    let replicationID: String
  }

  /// The identity of the server, or why it does not tell.
  let identity: Result<Identity, StoreFailure>

  init(_ identity: Result<Identity, StoreFailure>) { self.identity = identity }

  /// The commands that ask for it.
  static let commands = [Command("INFO", "server"), Command("INFO", "replication")]

  /// Reads the replies to ``commands``.
  convenience init(_ replies: some Collection<Reply>) {
    var texts: [String] = []
    for reply in replies {
      switch reply {
      case .string(let text): texts.append(text)
      case .error(let error):
        self.init(.failure(StoreFailure(error)))
        return
      default: break
      }
    }
    guard texts.count == Self.commands.count, let runID = Self.field("run_id", of: texts[0]),
      let replicationID = Self.replicationID(texts[1])
    else {
      self.init(
        .failure(
          .refused(
            code: "ERR", message: "INFO does not tell the server's run_id and master_replid",
            isTransient: false)))
      return
    }
    self.init(.success(Identity(runID: runID, replicationID: replicationID)))
  }

  /// The history of a server's data, by its answer to `INFO replication`.
  static func replicationID(_ information: String) -> String? {
    field("master_replid", of: information)
  }

  /// The value of a field in an answer to `INFO`.
  static func field(_ name: String, of information: String) -> String? {
    for line in information.split(whereSeparator: \.isNewline) {
      guard line.hasPrefix(name), line.dropFirst(name.count).first == ":" else { continue }
      let value = line.dropFirst(name.count + 1)
      return value.isEmpty ? nil : String(value)
    }
    return nil
  }
}
