// Runs Kafka's own command-line tools one after the other in one JVM, because each start of one costs two seconds. A line
// on standard input is one run: the main class, its arguments, and what its standard input is, each as base64, separated
// by spaces, the input last. Answered by one line: exit code, standard output, standard error (base64).
//
// The tools leave through Kafka's Exit, which is told here to end the run instead of the JVM.
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.internals.Exit;

public class KafkaTools {
    // Of the tool that runs now.
    static volatile CompletableFuture<Integer> ended;

    // What it would do when the JVM ends.
    static final List<Runnable> hooks = new CopyOnWriteArrayList<>();

    // As System.exit: whoever calls it does not get any further.
    static void leave(int code) {
        ended.complete(code);
        while (true) {
            LockSupport.park();
        }
    }

    static String decoded(String text) {
        return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
    }

    static String encoded(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }

    // The code with which the tool ended.
    static int run(String name, String[] arguments) throws Exception {
        CompletableFuture<Integer> end = new CompletableFuture<>();
        ended = end;
        Thread thread = new Thread(() -> {
            try {
                Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
                end.complete(0);
            } catch (InvocationTargetException e) {
                e.getCause().printStackTrace();
                end.complete(100);
            } catch (ReflectiveOperationException e) {
                e.printStackTrace();
                end.complete(101);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return end.get();
    }

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        Exit.setExitProcedure((status, message) -> leave(status));
        Exit.setHaltProcedure((status, message) -> leave(status));
        Exit.setShutdownHookAdder((name, runnable) -> hooks.add(runnable));
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            String[] words = Arrays.stream(line.split(" ", -1)).map(KafkaTools::decoded).toArray(String[]::new);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            System.setIn(new ByteArrayInputStream(words[words.length - 1].getBytes(StandardCharsets.UTF_8)));
            System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
            hooks.clear();
            int code = run(words[0], Arrays.copyOfRange(words, 1, words.length - 1));
            hooks.forEach(Runnable::run);
            answers.println(code + " " + encoded(out) + " " + encoded(err));
            answers.flush();
        }
    }
}
