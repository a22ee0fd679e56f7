package forebay.interop;

import java.io.File;
import java.nio.file.Files;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** HDFS in a directory of its own. Prints "ready", the port of the name node and that of webhdfs; ends with its input. */
public final class Hdfs {
    private Hdfs() {}

    public static void main(String[] arguments) throws Exception {
        File directory = Files.createTempDirectory("forebay-hdfs").toFile();
        Configuration configuration = new Configuration();
        configuration.set("dfs.permissions.enabled", "false");
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(configuration, directory).numDataNodes(1).build();
        cluster.waitActive();
        int http = cluster.getNameNode().getHttpAddress().getPort();
        System.out.println("ready " + cluster.getNameNodePort() + " " + http);
        while (System.in.read() >= 0) {
            // until it ends
        }
        cluster.shutdown(true);
        System.exit(0);
    }
}
