internal import CFloor
import Foundation

/// Plain blocking hiredis on one connection, called directly.
@safe final class HiredisConnection {
  private let context: UnsafeMutablePointer<redisContext>

  /// Connects, logs in and selects the database according to the URL.
  init(url: String) throws {
    guard let parts = URLComponents(string: url) else { throw BenchError("not a URL") }
    let connected =
      if parts.scheme == "unix" {
        unsafe redisConnectUnix(parts.path)
      } else {
        unsafe redisConnect(parts.host ?? "127.0.0.1", CInt(parts.port ?? 6379))
      }
    guard let connected = unsafe connected else { throw BenchError("no memory") }
    unsafe context = connected
    guard unsafe context.pointee.err == 0 else {
      throw BenchError("cannot connect: \(unsafe Self.errorText(of: context))")
    }
    if let password = parts.password {
      let user = parts.user.flatMap { $0.isEmpty ? nil : $0 }
      try call(["AUTH"] + (user.map { [$0] } ?? []) + [password])
    }
    let database = parts.path.dropFirst()
    if parts.scheme != "unix", !database.isEmpty { try call(["SELECT", String(database)]) }
  }

  deinit { unsafe redisFree(context) }

  /// The socket.
  var descriptor: CInt { unsafe context.pointee.fd }

  /// Sends a command and waits for its reply.
  @discardableResult
  func call(_ words: [String]) throws -> HiredisReply { try call(PreparedCommand(words)) }

  /// Sends a command and waits for its reply.
  @discardableResult
  func call(_ command: PreparedCommand) throws -> HiredisReply {
    append(command)
    return try reply()
  }

  /// Loads a script and returns its digest.
  func load(_ script: String) throws -> String {
    guard case .text(let digest) = try call(["SCRIPT", "LOAD", script]) else {
      throw BenchError("a script was not loaded")
    }
    return digest
  }

  /// Puts a command into the buffer; ``reply()`` sends it.
  func append(_ command: PreparedCommand) {
    _ = unsafe command.withArguments { unsafe redisAppendCommandArgv(context, $0, $1, $2) }
  }

  /// Sends the buffer and waits for the next reply.
  func reply() throws -> HiredisReply {
    var raw: UnsafeMutableRawPointer?
    guard unsafe redisGetReply(context, &raw) == REDIS_OK, let raw = unsafe raw else {
      throw BenchError("connection lost: \(unsafe Self.errorText(of: context))")
    }
    defer { unsafe freeReplyObject(raw) }
    let reply = unsafe raw.assumingMemoryBound(to: redisReply.self)
    switch unsafe reply.pointee.type {
    case REDIS_REPLY_INTEGER: return unsafe .integer(Int(reply.pointee.integer))
    case REDIS_REPLY_STATUS: return .ok
    case REDIS_REPLY_NIL: return .null
    case REDIS_REPLY_ARRAY: return .list
    default: break
    }
    let text = unsafe reply.pointee.str.map { unsafe String(cString: $0) } ?? ""
    if unsafe reply.pointee.type == REDIS_REPLY_ERROR { throw BenchError(text) }
    return .text(text)
  }

  private static func errorText(of context: UnsafeMutablePointer<redisContext>) -> String {
    unsafe withUnsafeBytes(of: &context.pointee.errstr) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
