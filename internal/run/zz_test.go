package run
import ("testing";"strings";"os";"bufio";"encoding/json";"reflect")
func TestZZ(t *testing.T){
 f,_:=os.Open("/tmp/apib/cases.jsonl"); sc:=bufio.NewScanner(f); sc.Buffer(nil,1<<20); bad:=0;n:=0;order:=0
 for sc.Scan(){ var c struct{Doc json.RawMessage;Ops []Operation;Out json.RawMessage}
  if err:=json.Unmarshal(sc.Bytes(),&c);err!=nil{t.Fatal(err)}
  if string(c.Out)=="null"{continue}
  n++
  got,err:=ApplyMetadata(string(c.Doc),nil,c.Ops); if err!=nil{t.Fatal(err)}
  if got==string(c.Out){continue}
  var a,b any; json.Unmarshal([]byte(got),&a);json.Unmarshal(c.Out,&b)
  if reflect.DeepEqual(a,b){order++; if order<5 {t.Logf("order %s\n got %s",sc.Text(),got)};continue}
  bad++; if !strings.Contains(sc.Text(),`"$.b.1"`){t.Errorf("%s\n got %s",sc.Text(),got)}
 }
 t.Log(n,bad,order)
}
