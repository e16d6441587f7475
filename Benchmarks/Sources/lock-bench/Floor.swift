internal import CFloor
import Foundation

/// What no library can beat by much: plain blocking hiredis on one connection, called directly.
@safe final class Floor {
  private let context: UnsafeMutablePointer<redisContext>
  private var releaseDigest = ""
  private var sequence = 0

  struct Failure: Error {
    let message: String
  }

  init(socketPath: String) throws {
    guard let context = unsafe redisConnectUnix(socketPath) else {
      throw Failure(message: "no memory")
    }
    unsafe self.context = context
    guard unsafe context.pointee.err == 0 else { throw Failure(message: "cannot connect") }
    releaseDigest = try call(
      "SCRIPT", "LOAD",
      "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
    )
  }

  deinit { unsafe redisFree(context) }

  /// Takes and releases a lock, with as many round trips and no fencing token.
  func pair(_ key: String) throws {
    sequence += 1
    let token = "floor:\(sequence)"
    guard try call("SET", key, token, "NX", "PX", "3000") == "OK",
      try call("EVALSHA", releaseDigest, "1", key, token) == "1"
    else { throw Failure(message: "the lock was not taken and released") }
  }

  /// Sends a command, waits for its reply, and gives it as text.
  private func call(_ arguments: String...) throws -> String {
    var pointers = unsafe arguments.map { argument in
      unsafe UnsafePointer<CChar>(strdup(argument)) as UnsafePointer?
    }
    defer { unsafe pointers.forEach { unsafe free(UnsafeMutablePointer(mutating: $0)) } }
    let lengths = arguments.map(\.utf8.count)
    guard
      let raw = unsafe redisCommandArgv(context, CInt(arguments.count), &pointers, lengths)
    else { throw Failure(message: "connection lost") }
    defer { unsafe freeReplyObject(raw) }
    let reply = unsafe raw.assumingMemoryBound(to: redisReply.self).pointee
    if unsafe reply.type == REDIS_REPLY_INTEGER { return unsafe String(reply.integer) }
    guard let text = unsafe reply.str else { return "" }
    return unsafe String(cString: text)
  }
}
