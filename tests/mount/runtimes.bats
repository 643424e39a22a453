# SPDX-License-Identifier: MIT
# Programs in languages whose compilers are too large for each run of the tests: Java and Go.
# shellcheck shell=bash disable=SC2154,SC2016
load common

compile_java() {
	cat >"$BATS_TEST_TMPDIR/Read.java" <<-'EOF'
	import java.io.*;
	import java.nio.file.*;
	import java.util.*;

	class Read {
	    static InputStream open(String name) throws IOException { return new FileInputStream(name); }
	    public static void main(String[] args) throws IOException {
	        String name = args[1];
	        Path path = Path.of(name);
	        switch (args[0]) {
	        case "FileInputStream.readAllBytes": System.out.write(open(name).readAllBytes()); break;
	        case "FileInputStream.transferTo": open(name).transferTo(System.out); break;
	        case "Files.readAllBytes": System.out.write(Files.readAllBytes(path)); break;
	        case "Files.readString": System.out.print(Files.readString(path)); break;
	        case "Files.readAllLines": System.out.print(String.join("|", Files.readAllLines(path))); break;
	        case "Files.lines": Files.lines(path).forEach(System.out::print); break;
	        case "Files.copy": Files.copy(path, System.out); break;
	        case "Files.newInputStream": System.out.write(Files.newInputStream(path).readAllBytes()); break;
	        case "BufferedReader.readLine":
	            BufferedReader reader = new BufferedReader(new FileReader(name));
	            for (String line; (line = reader.readLine()) != null;)
	                System.out.print(line);
	            break;
	        case "Scanner":
	            Scanner scanner = new Scanner(open(name));
	            while (scanner.hasNextLine())
	                System.out.print(scanner.nextLine());
	            break;
	        default: throw new IOException("unknown");
	        }
	        System.out.flush();
	    }
	}
	EOF
	javac -d "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/Read.java"
}

run_java() {
	timeout $((10 * SLOW)) java -cp "$BATS_TEST_TMPDIR" -XX:TieredStopAtLevel=1 Read "$1" "$Q/msg"
}

java_reads() {
	local how
	for how in FileInputStream.transferTo Files.readAllBytes Files.readString Files.readAllLines Files.lines Files.copy \
		Files.newInputStream BufferedReader.readLine Scanner; do
		printf one >"$Q/msg"
		echo two >"$Q/msg"
		equals "$how: $(run_java "$how")" "$how: one"
		equals "$(cat "$Q/drain")" two
	done
	echo one >"$Q/msg"
	fails 'Illegal seek' run_java FileInputStream.readAllBytes
	equals "$(cat "$Q/drain")" one
}

@test "Java's ways of reading msg to its end take one message; FileInputStream.readAllBytes refuses" {
	compile_java
	each_kind java_reads
}

go_writes() {
	local got=$BATS_TEST_TMPDIR/got.$KIND many=1000
	bash -c 'while IFS= read -r x <"$Q/lines"; do echo "$x"; done' >"$got" 3>&- 4>&- &
	JOBS+=("$!")
	equals "$(timeout $((60 * SLOW)) "$BATS_TEST_TMPDIR/writes" "$Q/msg" $many)" ''
	wait_until "[ \"\$(wc -l <'$got')\" -ge $many ]"
	equals "$(sort -n "$got" | cksum)" "$(seq 0 $((many - 1)) | cksum)"
	kill "${JOBS[-1]}"
}

@test "Go's os.WriteFile to a slow consumer: each of 1000 messages arrives" {
	cat >"$BATS_TEST_TMPDIR/writes.go" <<-'EOF'
	package main

	import (
		"fmt"
		"os"
		"strconv"
		"sync"
	)

	func main() {
		var group sync.WaitGroup
		many, _ := strconv.Atoi(os.Args[2])
		for writer := 0; writer < 4; writer++ {
			group.Add(1)
			go func(writer int) {
				defer group.Done()
				for i := writer; i < many; i += 4 {
					if err := os.WriteFile(os.Args[1], []byte(strconv.Itoa(i)), 0600); err != nil {
						fmt.Println(i, err)
					}
				}
			}(writer)
		}
		group.Wait()
	}
	EOF
	(cd "$BATS_TEST_TMPDIR" && GOCACHE=$BATS_TEST_TMPDIR/cache GO111MODULE=off CGO_ENABLED=0 go build -o writes writes.go)
	each_kind go_writes
}
