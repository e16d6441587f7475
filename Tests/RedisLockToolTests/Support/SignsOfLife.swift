#if CommandLineTool
  import Foundation
  import Testing

  /// Lets tests see how long a command was alive.
  protocol SignsOfLife {}

  extension SignsOfLife {
    /// A shell command that records every few milliseconds that it is alive, and ignores SIGTERM.
    ///
    /// It ends with the folder of the file.
    func stubborn(_ file: String) -> String {
      "trap '' TERM; while date +%s%N >>'\(file)'; do sleep 0.01; done"
    }

    /// The first and the last sign of life, in nanoseconds of the wall clock.
    func signs(_ text: String) throws -> (first: Int64, last: Int64) {
      // The end may have cut off the last line.
      let signs = text.split(separator: "\n").compactMap { Int64($0) }
        .filter { $0 > 1_000_000_000_000_000_000 }
      return (try #require(signs.first), try #require(signs.last))
    }

    /// Expects that a command whose signs of life are in `alive` ends within two seconds of an instant.
    func expectEnd(_ folder: TemporaryFolder, of end: Int64) async throws {
      await until("it does not live on") {
        let alive = folder.read("alive")
        usleep(100_000)
        return folder.read("alive") == alive
      }
      #expect(try signs(folder.read("alive")).last - end < 2_000_000_000)
    }

    var now: Int64 { Int64(Date.now.timeIntervalSince1970 * 1e9) }
  }
#endif
